"""The agent that recalls with tools."""
