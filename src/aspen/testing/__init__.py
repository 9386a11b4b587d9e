"""Contract tests and stand-ins, for people who write a backend. Needs the extra `testing`.

`repository_suite` and `repository_machine` test a store; import the module that you need: nothing is imported
here, so that pytest and Hypothesis stay out of programs that only want a stand-in.
"""
