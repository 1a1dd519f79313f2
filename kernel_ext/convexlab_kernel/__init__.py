"""The kernel side: `%convex`, `%%convex` and `db`, over HTTP and one WebSocket.

Reading order: discovery (where a deployment is, and how it is started) ·
endpoint · attachment (requests to it, wherever it is just now) · failures (its
refusals as typed errors) · client (`db`) · tables · past · status · results · display ·
columns · importing (data frames and files in) · state · link · live (what is
followed) · cells (cells as modules) · pushing · notebook · tracebacks · magics · options ·
line · reads · live_cell · live_cells · commands · card · guess · completion; and from
notebook to backend: notebook_file · names · prose · imports · export · convert ·
deploying · shipping · keys.
"""
