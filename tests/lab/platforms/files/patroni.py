"""Answers as Patroni does on port 8008: /health, /primary and /replica."""

import os
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDPOINTS = os.environ["ETCD3_HOSTS"].replace("'", "")
KEY = f"/service/{os.environ['SCOPE']}/leader"
with open("/home/postgres/pgdata/member") as file:
    MEMBER = file.read().strip()


def etcdctl(*words, given=None):
    command = ["etcdctl", f"--endpoints={ENDPOINTS}", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True).stdout


def leader():
    while True:
        etcdctl("txn", given=f'create("{KEY}") = "0"\n\nput {KEY} {MEMBER}\n\n\n')
        found = etcdctl("get", KEY, "--print-value-only").strip()
        if found:
            return found
        time.sleep(1)


LEADS = leader() == MEMBER


def running():
    try:
        socket.create_connection(("127.0.0.1", 5432), timeout=1).close()
        return True
    except OSError:
        return False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = {"/health": True, "/primary": LEADS, "/replica": not LEADS}
        self.send_response(200 if wanted.get(self.path) and running() else 503)
        self.end_headers()

    do_OPTIONS = do_HEAD = do_GET

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 8008), Handler).serve_forever()
