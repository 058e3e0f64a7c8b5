"""The OpenAPI 3 document of the operations that Dify imports as custom tools (pure)."""

Schema = dict[str, object]

_STRING: Schema = {"type": "string"}
_SOURCE: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The name of the source within this answer, such as S1."},
        "title": _STRING,
        "url": _STRING,
        "snippet": {"type": "string", "description": "The sentences that matched. Text from outside."},
        "provider": {"type": "string", "description": "The search provider that found it."},
        "date": {"type": "string", "description": "The day of publication, where it is known."},
    },
    "required": ["id", "title", "url", "snippet", "provider"],
}
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": _STRING,
                "type": _STRING,
                "param": {"type": "string", "nullable": True},
                "code": _STRING,
                "receipt_id": _STRING,
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
_REFUSALS = {
    "400": "The request is wrong; the message says where.",
    "401": "The key is missing or not valid.",
    "403": "The key may not do this.",
    "404": "There is no such thing here.",
    "408": "The request did not arrive in time.",
    "413": "The request is too large.",
    "415": "The request has an encoding that is not offered.",
    "422": "A limit was met or a provider failed; the message says which.",
}
_SEARCH: Schema = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "minLength": 1, "description": "What to look for, in plain words."},
        "max_results": {"type": "integer", "minimum": 1, "maximum": 50, "description": "At most so many sources."},
        "only_domains": {
            "type": "array",
            "items": _STRING,
            "description": "The only domains whose pages may be used, such as python.org.",
        },
    },
    "required": ["query"],
}
_EXTRACT: Schema = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "The address of a public page or PDF, http or https."},
        "fields": {
            "type": "array",
            "items": {"type": "string", "enum": ["title", "text", "tables", "key_points"]},
            "description": "What to return; everything when it is left out.",
        },
    },
    "required": ["url"],
}
_ASK: Schema = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 1, "description": "The question, in plain words."},
        "search": {
            "type": "string",
            "enum": ["never", "auto", "always"],
            "description": "Whether to search first; auto lets the gateway decide.",
        },
        "model": {"type": "string", "description": "The model; the gateway's default when it is left out."},
    },
    "required": ["question"],
}
_FOUND: Schema = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": _SOURCE}},
    "required": ["results"],
}
_PAGE: Schema = {
    "type": "object",
    "properties": {
        "title": _STRING,
        "text": _STRING,
        "key_points": {"type": "array", "items": _STRING},
        "tables": {"type": "array", "items": {"type": "object"}},
        "mime_type": _STRING,
        "pages": {"type": "integer"},
    },
    "required": ["title", "text", "key_points", "tables"],
}
_ANSWER: Schema = {
    "type": "object",
    "properties": {
        "answer": _STRING,
        "sources": {"type": "array", "items": _SOURCE},
        "receipt_id": {"type": "string", "description": "The receipt of this answer."},
    },
    "required": ["answer", "sources", "receipt_id"],
}


def document(server_url: str, version: str) -> Schema:
    """The whole document. `server_url` is how Dify reaches this port."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Inference gateway",
            "version": version,
            "description": "Search, read pages, and ask a model that answers with its sources.",
        },
        "servers": [{"url": server_url}],
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A token or an API key of the gateway."}
            }
        },
        "paths": {
            "/tools/search": _operation("search", "Find sources for a query.", _SEARCH, _FOUND),
            "/tools/extract": _operation("extract", "Read one page, PDF or text.", _EXTRACT, _PAGE),
            "/tools/ask": _operation("ask", "Get one answer with its sources.", _ASK, _ANSWER),
        },
    }


def _operation(name: str, summary: str, body: Schema, answer: Schema) -> Schema:
    responses: dict[str, object] = {
        status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _REFUSALS.items()
    }
    responses["200"] = {"description": "Done.", "content": {"application/json": {"schema": answer}}}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "description": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": responses,
        }
    }
