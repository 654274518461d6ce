"""SumUp: asking it, and understanding what it says.

`client` plays the payment gateway. Below it, in order: `auth` (who asks), `retry` (ask again when that can help),
`pace` (not too often), `transport` (one request, with limits), `wire` (bytes into values). Nothing is imported here:
requests is heavy, and a run with nothing to do must not load it.
"""
