"""Graders: functions of (expected, given) with a score in [0, 1], which never raise for an answer.

An answer is text of a model, so it may be anything: empty, huge, hostile. Text graders read a
bounded part of it in linear time; code and SQL run in the cage of `paragent.runtime.sandbox` only.
"""
