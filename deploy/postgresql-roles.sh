#!/bin/sh
# What PostgreSQL's image runs once, when its volume is empty: the two roles, and the database. The passwords
# are those of the URLs that worker and web have; they reach psql by its environment, not by its arguments.
set -eu
password() {
    sed -n 's#^postgresql+psycopg://[^:/@]*:\([^@]*\)@.*#\1#p' "/run/secrets/$1"
}
WORKER_PASSWORD=$(password database)
WEB_PASSWORD=$(password web-database)
export WORKER_PASSWORD WEB_PASSWORD
[ -n "$WORKER_PASSWORD" ]
[ -n "$WEB_PASSWORD" ]
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv worker WORKER_PASSWORD
\getenv web WEB_PASSWORD
CREATE ROLE belong_worker LOGIN PASSWORD :'worker';
CREATE ROLE belong_web LOGIN CONNECTION LIMIT 80 PASSWORD :'web';
CREATE DATABASE belong OWNER belong_worker;
REVOKE ALL ON DATABASE belong FROM PUBLIC;
GRANT CONNECT ON DATABASE belong TO belong_web;
SQL
