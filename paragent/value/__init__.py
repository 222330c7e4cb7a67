"""Value models: what is expected of a design that was not run, and how sure that is.

table      named features to arrays; a flat table of factors is recognised
ridge      Bayesian ridge regression: a baseline, exact draws
gp         Gaussian process, additive + pairwise (+ triples) kernel, weights by evidence
latent     low-rank interactions of factors (Gibbs), where a GP would need every pair
parts      the cost of a system is the sum of its parts' costs
boosting   LightGBM with settings for small data
choose     cross-validated rank with an interval; the families' mixture or the best of them
conformal  intervals that cover what they promise
improve    expected improvement of a score, of a front, and its probability
"""

from paragent.value.ridge import LinearValue, Vector, generator

__all__ = ["LinearValue", "Vector", "generator"]
