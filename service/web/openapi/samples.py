"""Sample requests in three languages, which read `WAYBILL_URL` and `WAYBILL_KEY`."""

import json
from typing import Any, Final

from service.web.openapi.examples import MESSAGE_ID
from service.web.openapi.operations import Operation

_KEY_HEADER: Final = "Idempotency-Key"


def code_samples(method: str, path: str, operation: Operation) -> list[dict[str, str]]:
    """Return the `x-codeSamples` of an operation."""
    path = path.replace("{message_id}", MESSAGE_ID)
    body = _first_example(operation)
    key = next((p["example"] for p in operation.parameters if p["name"] == _KEY_HEADER), None)
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(method, path, body, key)},
        {"lang": "Python", "label": "Python", "source": _python(method, path, body, key)},
        {"lang": "JavaScript", "label": "Node", "source": _node(method, path, body, key)},
    ]


def _first_example(operation: Operation) -> Any:
    if operation.body is None:
        return None
    examples = operation.body["application/json"]["examples"]
    return next(iter(examples.values()))["value"]


def _curl(method: str, path: str, body: Any, key: str | None) -> str:
    lines = [
        f'curl -sS -X {method} "$WAYBILL_URL{path}"',
        '-H "Authorization: Bearer $WAYBILL_KEY"',
    ]
    if key is not None:
        lines.append(f'-H "{_KEY_HEADER}: {key}"')
    if body is not None:
        lines += ['-H "Content-Type: application/json"', f"-d '{_indented(body)}'"]
    return " \\\n  ".join(lines)


def _python(method: str, path: str, body: Any, key: str | None) -> str:
    headers = ['"Authorization": "Bearer " + os.environ["WAYBILL_KEY"]']
    if key is not None:
        headers.append(f'"{_KEY_HEADER}": "{key}"')
    arguments = [
        f'"{method}"',
        f'os.environ["WAYBILL_URL"] + "{path}"',
        f"headers={{{', '.join(headers)}}}",
        *([] if body is None else [f"json={_indented(body)}"]),
        "timeout=10",
    ]
    call = "answer = requests.request(\n    " + ",\n    ".join(arguments) + ",\n)"
    return f"import os\n\nimport requests\n\n{call}\nprint(answer.status_code, answer.json())"


def _node(method: str, path: str, body: Any, key: str | None) -> str:
    headers = ["Authorization: `Bearer ${process.env.WAYBILL_KEY}`"]
    if key is not None:
        headers.append(f'"{_KEY_HEADER}": "{key}"')
    if body is not None:
        headers.append('"Content-Type": "application/json"')
    options = [f'method: "{method}"', f"headers: {{ {', '.join(headers)} }}"]
    if body is not None:
        options.append(f"body: JSON.stringify({_indented(body)})")
    options.append("signal: AbortSignal.timeout(10_000)")
    inside = ",\n  ".join(options)
    return (
        f"const answer = await fetch(`${{process.env.WAYBILL_URL}}{path}`, {{\n  {inside},\n}});\n"
        "console.log(answer.status, JSON.stringify(await answer.json()));"
    )


def _indented(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False).replace("\n", "\n  ")
