"""Tests of the whole: real servers, real processes."""
