"""SumUp and a mail server to play with, on this machine alone: for the demo, the tests and a staging shop.

`simulator` answers as SumUp does, `mailsink` takes every mail and keeps it, `serve` runs both. Nothing is imported
here, so that a module can be had without the libraries of the others.
"""
