"""Documents made from results.json."""
