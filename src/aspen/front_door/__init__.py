"""The parts of `aspen.Aspen`, by what they do. They compose the packages below, and decide nothing."""
