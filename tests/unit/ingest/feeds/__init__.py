"""Tests of feeds' words, without a socket."""
