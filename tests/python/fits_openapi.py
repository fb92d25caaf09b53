"""Checks an OpenAPI description, and answers of the server against it: DESCRIPTION ANSWERS. ANSWERS is a JSON list of [operation id, status, body]."""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

description, answers = (json.load(open(path)) for path in sys.argv[1:])
validate(description)
operations = {
    operation["operationId"]: operation
    for path in description["paths"].values()
    for operation in path.values()
    if isinstance(operation, dict)
}
seen = set()
for name, status, body in answers:
    answer = operations[name]["responses"][str(status)]
    schema = answer["content"]["application/json"]["schema"]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "components": description["components"]}
    Draft202012Validator(whole).validate(body)
    seen.add(name)
assert len(seen) > 4, seen
