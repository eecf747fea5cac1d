#!/usr/bin/python3
"""Stands in for a program that Debian does not have: listens on its image's documented ports
and answers what its health check asks for. `standins.json` says which.

    standin NAME [ARGUMENTS..]
"""

import json
import os
import signal
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = os.path.dirname(os.path.realpath(__file__))
SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", "sleep"}


def entry(name):
    with open(os.path.join(HERE, "standins.json")) as table:
        return json.load(table)[name]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve_http(port, paths, secure):
    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.split("?")[0]
            found = path in paths
            # A table of paths says what each answers.
            body = paths[path].encode() if found and isinstance(paths, dict) else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = answer

        def log_message(self, *_):
            pass

    server = Server(("", port), Handler)
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(HERE, "cert.pem"), os.path.join(HERE, "key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve_tcp(port):
    listener = socket.create_server(("", port), backlog=128)

    # Whoever hangs up at once looks like a port that nobody listens behind.
    def hold(connection):
        with connection:
            while connection.recv(65536):
                pass

    def accept():
        while True:
            threading.Thread(target=hold, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def serve_udp(port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", port))
    threading.Thread(target=lambda: [listener.recv(65536) for _ in iter(int, 1)], daemon=True).start()


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    if arguments and arguments[0] in SHELLS:
        os.execvp(arguments[0], arguments)
    this = entry(name)
    if set(arguments) & set(this.get("jobs", [])):
        print(f"stand-in for {name}: {' '.join(arguments)}")
        return
    for port, paths in this.get("http", {}).items():
        serve_http(int(port), paths, False)
    for port, paths in this.get("https", {}).items():
        serve_http(int(port), paths, True)
    for port in this.get("tcp", []):
        serve_tcp(port)
    for port in this.get("udp", []):
        serve_udp(port)
    print(f"stand-in for {name}", flush=True)
    # The first process of a container is not ended by a signal it does not handle.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: sys.exit(0))
    while True:
        signal.pause()


main()
