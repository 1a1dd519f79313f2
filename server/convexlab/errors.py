"""The exception tree: every error a caller can meet, sorted by who can act on it.

ConvexlabError
├─ CallerError          asking again changes nothing
│  ├─ NotFound          a function, table, index or document that is not there
│  │  ├─ StorageIdNotFound · FileNotFound   a file that is not there
│  │  └─ InvalidScheduledFunction   a function to run later that is not there
│  ├─ InvalidArguments  arguments that the function's validator refuses
│  │  └─ InvalidStoragePath · Sha256Mismatch   an address, or bytes, of no file
│  ├─ InvalidValue      something that is not a Convex value
│  │  └─ ValueMismatch  a value that a validator refuses
│  ├─ InvalidQuery      a range, filter, cursor or page that cannot be
│  ├─ SchemaViolation   a document that the schema refuses
│  ├─ NotAllowed        who is asking may not, or not here
│  │  └─ BadAdminKey    a key that is not this deployment's
│  ├─ NotAuthenticated  a token that does not say who is asking
│  │  └─ StorageTokenInvalid · StorageTokenExpired   an upload URL that does not hold
│  ├─ ExportInProgress  one export at a time
│  ├─ TransferFailed  an export or import ended early
│  ├─ ImportConflict · ImportForeignKey · ImportSchemaChanged   what cannot come in so
│  ├─ LimitExceeded     a documented limit
│  ├─ InvalidEnvVar     an environment variable that cannot be set
│  │  ├─ EnvVarNameForbidden · EnvVarNameInvalid · EnvVarNameTooLong · EnvVarNameNotUnique
│  │  ├─ EnvVarValueInvalid · EnvVarValueTooLarge
│  │  └─ EnvVarLimitMet · EnvVarTotalSizeLimitMet   too many, or too much together
│  ├─ EnvVarUnreadable  an environment variable sealed with another secret
│  ├─ InvalidSecret     a secret of the machine that nothing can be sealed with
│  ├─ PushFailed        modules or a schema that cannot be deployed, with file and line
│  ├─ ConvexError       raised by user code on purpose; its data reaches the client
│  └─ FunctionFailed    user code raised; its traceback, cut where our frames begin
├─ RetryError           the same request may succeed
│  ├─ OutOfRetention    from a newer snapshot
│  └─ Unavailable       later
│     └─ FollowerBehind · Overloaded · ProcessDied · Closing · NotRunning · NotStarted
├─ ProtocolError        the connection ends
│  └─ LocalProtocolError (we broke it) · RemoteProtocolError (they did)
└─ InternalError        an invariant fell: the deployment stops

Each class has a stable `code`, which tests and clients match (the sentence may
change), and the HTTP status with which it appears outside of a function's run.
Inside a function's run every CallerError is an ordinary function error.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar


class ConvexlabError(Exception):
    """Every error of convexlab's own."""

    code: ClassVar[str] = "InternalServerError"
    http_status: ClassVar[int] = 500

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)


class CallerError(ConvexlabError):
    """The request is at fault: asking again changes nothing."""

    code = "BadRequest"
    http_status = 400


class NotFound(CallerError):
    """A function, module, table, index or document that is not there."""

    code = "NotFound"
    http_status = 404


class StorageIdNotFound(NotFound):
    """A file's id that is nobody's."""

    code = "StorageIdNotFound"


class FileNotFound(NotFound):
    """A file's address whose file is gone, or never was."""

    code = "FileNotFound"


class InvalidScheduledFunction(NotFound):
    """A function that is to run later, and that is not there."""

    code = "InvalidScheduledFunction"


class InvalidArguments(CallerError):
    """Arguments, or a result, that the function's validator refuses."""

    code = "ArgumentValidationError"


class InvalidStoragePath(InvalidArguments):
    """The end of a file's address that is no UUID."""

    code = "InvalidStoragePath"


class Sha256Mismatch(InvalidArguments):
    """Bytes that have another digest than was said."""

    code = "Sha256Mismatch"


class InvalidValue(CallerError):
    """Something that is not a Convex value, an id that does not decode, a bad name."""

    code = "InvalidValue"


class ValueMismatch(InvalidValue):
    """A value that a validator refuses: what, where, and by which validator."""


class InvalidQuery(CallerError):
    """An index range, filter, cursor or page that cannot be.

    Args:
        message: what is wrong and what to write.
        kind: Convex's name of it, for instance `BoundsOnMultipleFields`.
    """

    code = "InvalidQuery"

    def __init__(self, message: str, *, kind: str = "InvalidQuery") -> None:
        super().__init__(message)
        self.kind = kind


class SchemaViolation(CallerError):
    """A document, or a definition, that the schema's rules refuse.

    Args:
        message: what is wrong, where, and what to write.
        kind: Convex's name of the rule, for instance `IndexNotUnique`.
    """

    code = "SchemaEnforcementError"

    def __init__(self, message: str, *, kind: str = "SchemaEnforcementError") -> None:
        super().__init__(message)
        self.kind = kind


class NotAllowed(CallerError):
    """The caller, or this kind of function, may not do this."""

    code = "OperationNotPermitted"
    http_status = 403


class BadAdminKey(NotAllowed):
    """An admin key that is not this deployment's."""

    code = "BadDeployKey"


class NotAuthenticated(CallerError):
    """A token, or a header, that does not say who is asking."""

    code = "Unauthenticated"
    http_status = 401


class StorageTokenInvalid(NotAuthenticated):
    """An upload URL that this deployment did not make."""

    code = "StorageTokenInvalid"


class StorageTokenExpired(NotAuthenticated):
    """An upload URL that held until earlier."""

    code = "StorageTokenExpired"


class ExportInProgress(CallerError):
    """An export is being made: there is one at a time."""

    code = "ExportInProgress"


class TransferFailed(CallerError):
    """An export or an import did not come to its end; it says why."""

    code = "TransferFailed"


class ImportConflict(CallerError):
    """Documents whose ids are, or would be, those of another table."""

    code = "ImportConflict"


class ImportForeignKey(CallerError):
    """Ids that are kept elsewhere would be ids of no table any more."""

    code = "ImportForeignKey"


class ImportSchemaChanged(CallerError):
    """The schema is not the one that imported documents were checked against."""

    code = "ImportSchemaChanged"


class LimitExceeded(CallerError):
    """A documented limit was reached.

    Args:
        message: what was counted, how much there was, and the limit.
        kind: Convex's name of the limit, for instance `TooManyDocumentsRead`.
    """

    code = "LimitExceeded"

    def __init__(self, message: str, *, kind: str = "LimitExceeded") -> None:
        super().__init__(message)
        self.kind = kind


class InvalidEnvVar(CallerError):
    """An environment variable that cannot be set."""

    code = "InvalidEnvVar"


class EnvVarNameForbidden(InvalidEnvVar):
    """A name whose value the deployment itself says."""

    code = "EnvVarNameForbidden"


class EnvVarNameInvalid(InvalidEnvVar):
    """A text that is no name of an environment variable."""

    code = "EnvironmentVariableNameInvalid"


class EnvVarNameTooLong(InvalidEnvVar):
    """A name of too many characters."""

    code = "EnvironmentVariableNameTooLong"


class EnvVarNameNotUnique(InvalidEnvVar):
    """One variable twice among the changes that are made together."""

    code = "EnvVarNameNotUnique"


class EnvVarValueInvalid(InvalidEnvVar):
    """A value that no environment can hold."""

    code = "EnvironmentVariableValueInvalid"


class EnvVarValueTooLarge(InvalidEnvVar):
    """A value of too many bytes."""

    code = "EnvironmentVariableValueTooLarge"


class EnvVarLimitMet(InvalidEnvVar):
    """Too many variables."""

    code = "EnvVarLimitMet"


class EnvVarTotalSizeLimitMet(InvalidEnvVar):
    """Too many bytes in all variables together."""

    code = "EnvVarTotalSizeLimitMet"


class EnvVarUnreadable(CallerError):
    """A variable that was sealed with another secret: it is to be set again."""

    code = "EnvVarUnreadable"


class InvalidSecret(CallerError):
    """A machine's secret that nothing can be sealed with."""

    code = "InvalidSecret"


class PushFailed(CallerError):
    """Modules or a schema that cannot be deployed; nothing was changed.

    Args:
        message: what is wrong and what to write instead.
        path: the module, as in `admin/users`.
        line: the 1-based line in that module's source, where one is to blame.
        traceback: the user's own frames, where the module raised.
    """

    code = "PushFailed"

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        traceback: str | None = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.traceback = traceback


class ConvexError(CallerError):
    """An application error: raise it in a function, and clients get its `data`.

    Its sentence is the data where that is a text, else the data's JSON.

    Args:
        data: any Convex value.
    """

    code = "ConvexError"

    def __init__(self, data: Any = None) -> None:
        super().__init__(data if isinstance(data, str) else _as_json(data))
        self.data = data


def _as_json(data: object) -> str:
    """For people; what is no value is told as Python shows it, and refused elsewhere."""
    try:
        return json.dumps(data, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        return repr(data)


class FunctionFailed(CallerError):
    """User code raised.

    Args:
        message: the exception's name and text.
        traceback: the remote traceback, the user's own frames only.
    """

    code = "FunctionFailed"

    def __init__(self, message: str, *, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class RetryError(ConvexlabError):
    """The same request may succeed another time."""

    code = "Retry"
    http_status = 503


class OutOfRetention(RetryError):
    """The timestamp asked for is older than what is kept."""

    code = "OutOfRetention"


class Unavailable(RetryError):
    """A part is missing for the moment."""

    code = "Unavailable"


class FollowerBehind(Unavailable):
    """A derived index did not catch up in time."""

    code = "FollowerBehind"


class Overloaded(Unavailable):
    """More requests than the queue takes."""

    code = "Overloaded"


class ProcessDied(Unavailable):
    """The process that ran the function died or was killed."""

    code = "ProcessDied"


class Closing(Unavailable):
    """The deployment is stopping."""

    code = "Closing"


class NotRunning(Unavailable):
    """Nobody listens at the deployment's address: the request was not received."""

    code = "NotRunning"


class NotStarted(Unavailable):
    """A local deployment did not come up; the sentence says why, and what to do."""

    code = "NotStarted"


class ProtocolError(ConvexlabError):
    """The sync protocol was broken; the connection ends."""

    code = "ProtocolError"
    http_status = 400


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol."""

    code = "LocalProtocolError"
    http_status = 500


class RemoteProtocolError(ProtocolError):
    """The client broke the protocol."""

    code = "RemoteProtocolError"


class InternalError(ConvexlabError):
    """An invariant fell; the deployment stops rather than go on wrongly."""
