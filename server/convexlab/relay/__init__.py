"""The relay: the deployment under Jupyter's own address.

Read `keeper` (where the deployment is), `http` (requests), then WebSockets: `sockets`
says who may open one, `handing_over` gives its connection to the deployment, and
`frames` is the way where that cannot be.
"""
