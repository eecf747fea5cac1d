"""Stands in for a program of the platform: healthy when everything its environment names
as a URL inside the stack takes connections."""

import json
import os
import re
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# scheme://user:password@name:port, where a name without a dot is another container.
URL = re.compile(r"^[a-z0-9+]+://(?:[^/@]*@)?([A-Za-z0-9_-]+):(\d+)")
NEEDS = {
    name: (found[1], int(found[2]))
    for name, value in os.environ.items()
    if (found := URL.match(value)) and found[1] != "localhost"
}


def reachable(place):
    try:
        socket.create_connection(place, timeout=2).close()
        return True
    except OSError:
        return False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        state = {name: reachable(place) for name, place in sorted(NEEDS.items())}
        if self.path == "/health":
            self.answer(200 if all(state.values()) else 503, "application/json", json.dumps(state))
        elif self.path == "/metrics":
            lines = [f'app_need_up{{need="{name}"}} {int(up)}' for name, up in state.items()]
            self.answer(200, "text/plain; version=0.0.4", "\n".join(lines) + "\n")
        elif self.path == "/":
            self.answer(200, "text/plain", os.environ.get("APP", "app") + "\n")
        else:
            self.answer(404, "text/plain", "not found\n")

    def answer(self, code, kind, text):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.end_headers()
        try:
            self.wfile.write(text.encode())
        except BrokenPipeError:
            # Whoever asked has seen enough.
            pass

    def log_message(self, *_):
        pass


# The first process of a container is not ended by a signal it does not handle.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
