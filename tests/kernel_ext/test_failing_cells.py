"""Fourteen cells that fail, and all that each says: its own line, and nobody else's."""

from __future__ import annotations

SCHEMA = """%%convex schema
from convexlab import define_schema, define_table, v

schema = define_schema({"tasks": define_table({"text": v.string(), "n": v.number()})})
"""
TASKS = """%%convex tasks
from convexlab import ConvexError, mutation, query

@mutation
def create(ctx, text: str, n: int):
    return ctx.db.insert("tasks", {"text": text, "n": n})

@query
def ratio(ctx, by: float):
    part = 1
    return part / by

@mutation
def wrong(ctx):
    ctx.db.insert("tasks", {"text": 1, "n": 2})

@query
def refuse(ctx):
    raise ConvexError({"code": "closed"})
"""
CONNECT = "import convexlab\ndb = convexlab.connect()"
FIRST = 5  # In[…] of the first that fails

# Each cell, and what is printed below it.
FAILING = [
    (
        "%%convex broken\nx = 1\ny = x / 0\n",
        """Cell In[5], line 3
      1 %%convex broken
      2 x = 1
----> 3 y = x / 0

PushFailed: ZeroDivisionError: division by zero""",
    ),
    (
        "%%convex broken\ndef f(:\n    pass\n",
        """Cell In[6], line 2
      1 %%convex broken
----> 2 def f(:
      3     pass

PushFailed: SyntaxError: invalid syntax""",
    ),
    (
        "%%convex broken\nfrom convexlab import query\n\n@query\ndef f(ctx, when: set):\n    return 1\n",
        """Cell In[7], line 5
      3
      4 @query
----> 5 def f(ctx, when: set):
      6     return 1

PushFailed: `f`: parameter `when`: `set` stands for no Convex value: write `list[T]`.""",
    ),
    (
        "%%convex broken\nfrom convexlab import query\n\n@query\nasync def f(ctx):\n    return await ctx.db.query('x').collect()\n",
        """Cell In[8], line 6
      4 @query
      5 async def f(ctx):
----> 6     return await ctx.db.query('x').collect()

PushFailed: `f`: calls on `ctx` in a query are plain: write `ctx.db.query('x').collect()` without `await`.""",
    ),
    (
        "%%convex broken\nimport nothing_there\n",
        """Cell In[9], line 2
      1 %%convex broken
----> 2 import nothing_there

PushFailed: the package `nothing_there` is not installed where the deployment runs: install it there (`pip install nothing_there`), then push again.""",
    ),
    (
        "%%convex schema\nfrom convexlab import define_schema, v\n\nschema = define_schema({'tasks': v.strings()})\n",
        """Cell In[10], line 4
      2 from convexlab import define_schema, v
      3
----> 4 schema = define_schema({'tasks': v.strings()})

PushFailed: AttributeError: 'Builders' object has no attribute 'strings'. Is `string` meant?""",
    ),
    (
        "a = 1\ndb.query('tasks:ratio', by=0)",
        """Cell In[11], line 2
      1 a = 1
----> 2 db.query('tasks:ratio', by=0)

Cell In[3], line 11, in tasks:ratio
      9 def ratio(ctx, by: float):
      10     part = 1
----> 11     return part / by
      12
      13 @mutation

FunctionFailed: ZeroDivisionError: float division by zero""",
    ),
    (
        "db.mutation('tasks:create', text=5, n=1)",
        """Cell In[12], line 1
----> 1 db.mutation('tasks:create', text=5, n=1)

InvalidArguments: ArgumentValidationError: Value does not match validator.
Path: .text
Value: 5
Validator: v.string()""",
    ),
    (
        "db.mutation('tasks:create', text='x')",
        """Cell In[13], line 1
----> 1 db.mutation('tasks:create', text='x')

InvalidArguments: ArgumentValidationError: Object is missing the required field `n`. Consider wrapping the field validator in `v.optional(...)` if this is expected.

Object: {text: "x"}
Validator: v.object({text: v.string(), n: v.float64()})""",
    ),
    (
        "db.mutation('tasks:create', text='x', n=1, more=2)",
        """Cell In[14], line 1
----> 1 db.mutation('tasks:create', text='x', n=1, more=2)

InvalidArguments: ArgumentValidationError: Object contains extra field `more` that is not in the validator.

Object: {text: "x", n: 1, more: 2}
Validator: v.object({text: v.string(), n: v.float64()})""",
    ),
    (
        "db.mutation('tasks:wrong')",
        """Cell In[15], line 1
----> 1 db.mutation('tasks:wrong')

Cell In[3], line 15, in tasks:wrong
      13 @mutation
      14 def wrong(ctx):
----> 15     ctx.db.insert("tasks", {"text": 1, "n": 2})
      16
      17 @query

SchemaViolation: Failed to insert or update a document in table "tasks" because it does not match the schema: Value does not match validator.
Path: .text
Value: 1
Validator: v.string()""",
    ),
    (
        "db.query('tasks:refuse')",
        """Cell In[16], line 1
----> 1 db.query('tasks:refuse')

Cell In[3], line 19, in tasks:refuse
      17 @query
      18 def refuse(ctx):
----> 19     raise ConvexError({"code": "closed"})

ConvexError: {"code": "closed"}""",
    ),
    (
        "db.query('tasks:rato')",
        """Cell In[17], line 1
----> 1 db.query('tasks:rato')

NotFound: Could not find function for 'tasks:rato'. Did you forget to push its module?
Is `tasks:ratio` meant?""",
    ),
    (
        "%convex run tasks:ratio {'by': 0",
        """Cell In[18], line 1
----> 1 %convex run tasks:ratio {'by': 0

InvalidArguments: `{'by': 0` is not a Python expression: '{' was never closed.""",
    ),
]


def test_a_failure_is_the_cells_own_line(run):
    ran = run(SCHEMA, TASKS, CONNECT, *(cell for cell, _ in FAILING))
    said = [ran.error(number)[1] for number in range(FIRST, FIRST + len(FAILING))]
    assert [_trimmed(one) for one in said] == [text for _, text in FAILING]


def _trimmed(text):
    """Without the spaces that stand at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
