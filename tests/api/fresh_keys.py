"""Gives each well-formed Idempotency-Key of a chain of requests a value of its own.

schemathesis sends the same made-up key with several requests. The second is then answered as the first was, as it must be, with the address of
something that may be removed by then; schemathesis takes that for a resource that was lost. Keys that break the schema stay as they are.
tests/promises/api_tokens.rs holds what a repeat is answered."""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, **kwargs):
    if case.meta is None or case.meta.phase.name.value != "stateful":
        return
    headers = case.headers or {}
    for name, value in list(headers.items()):
        if name.lower() == "idempotency-key" and re.fullmatch("[!-~]{1,255}", str(value)):
            headers[name] = str(uuid.uuid4())
