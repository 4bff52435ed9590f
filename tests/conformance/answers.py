"""A provider whose answers are made up from an SDK's own types: every path that the SDK knows, with a body of the type it
expects there. What the specification would say is read from the SDK's source instead: the calls of `_get`, `_post` and
the like name method, path and type.

Usage: answers.py openai|anthropic     (prints its address)
"""

import ast
import http.server
import importlib
import json
import os
import pkgutil
import re
import sys

import samples

VERBS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE", "_get_api_list": "GET"}
STREAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "streams", "recorded")
RECORDED = {"/chat/completions": "chat", "/responses": "responses", "/v1/messages": "messages"}
MAX_BODY = 32 << 20


def routes_of(sdk):
    """(method, pattern of the path) -> the body to answer with; the plainest paths first."""
    found = {}
    resources = importlib.import_module(f"{sdk}.resources")
    for module in pkgutil.walk_packages(resources.__path__, f"{sdk}.resources."):
        module = importlib.import_module(module.name)
        with open(module.__file__, encoding="utf-8") as source:
            tree = ast.parse(source.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VERBS:
                add_route(found, node, module)
    return sorted(
        ((method, re.compile(pattern), answer) for (method, pattern), answer in found.items()),
        key=lambda route: route[1].pattern.count("[^/]"),
    )


def add_route(found, call, module):
    path = path_of(call.args[0] if call.args else None)
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    wanted = named.get("page") if call.func.attr == "_get_api_list" else named.get("cast_to")
    if path is None or wanted is None:
        return
    key = (VERBS[call.func.attr], path)
    try:
        answer = samples.sample(eval(compile(ast.Expression(wanted), path, "eval"), vars(module)))
    except (samples.Unmakeable, NameError, TypeError, AttributeError):
        return  # A type of a method of convenience; the path has another call, or is answered 404.
    found.setdefault(key, answer)


def path_of(node):
    """The pattern of a path that is written as text or as a template of text."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "path_template":
        node = node.args[0]
    if isinstance(node, ast.JoinedStr):
        text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    else:
        return None
    return "/".join("[^/]+" if "{" in part else re.escape(part) for part in text.partition("?")[0].split("/"))


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    routes, sdk = [], ""

    def answer(self):
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
        path = self.path.partition("?")[0]
        if self.sdk == "openai":
            path = path.removeprefix("/v1")
        if b'"stream":true' in body.replace(b" ", b"") and path in RECORDED:
            with open(os.path.join(STREAMS, f"{RECORDED[path]}.sse"), "rb") as stream:
                return self.send(200, "text/event-stream", stream.read())
        for method, pattern, answer in self.routes:
            if method == self.command and pattern.fullmatch(path):
                if answer is None:
                    return self.send(204, "application/json", b"")
                return self.send(200, "application/json", json.dumps(answer).encode())
        return self.send(404, "application/json", b'{"error": {"message": "no such path", "type": "not_found_error"}}')

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def send(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """The tests say enough."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    Provider.sdk = sys.argv[1]
    Provider.routes = routes_of(sys.argv[1])
    server = Server(("127.0.0.1", 0), Provider)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    print(f"{len(Provider.routes)} routes", file=sys.stderr, flush=True)
    server.serve_forever()
