"""Figure 1, measured: where behavioural evals catch a growing danger, where only the inside view does, where nothing does."""
