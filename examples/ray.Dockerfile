# Ray and Paragent's wheel in one image, for examples/kuberay.yaml:
#     make wheel && docker build -f examples/ray.Dockerfile -t registry.example.com/paragent:0.1.0 .
FROM rayproject/ray:2.60.0-py311
COPY dist/paragent-*.whl /tmp/
RUN pip install --no-cache-dir /tmp/paragent-*.whl
