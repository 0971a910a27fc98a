"""The TLS proxy: Debian's nginx, with the server block that we ship."""

import os
import shutil

PATH = shutil.which("nginx")
MISSING = (
    "NOT TESTED: production behind a TLS proxy (tests/production)."
    " There is no nginx: apt-get install -y --no-install-recommends nginx"
)
IS_REQUIRED = os.environ.get("REQUIRE_NGINX") == "1"
# As Debian has it: it logs whom it answers, and compresses, unless a server says otherwise.
MAIN = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {logs}/error.log;
events {{ }}
http {{
  access_log {logs}/access.log;
  gzip on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {etc}/conf.d/*.conf;
}}
"""
