"""SumUp's endpoints, a module for each of its resources; `router` says which path is whose."""
