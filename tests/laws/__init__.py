"""Laws: what holds for every stream of events, searched for counterexamples by Hypothesis."""
