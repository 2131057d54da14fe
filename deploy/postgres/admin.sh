#!/bin/sh
# Run once, on an empty data folder, by PostgreSQL's own image: the role that `regulars migrate` works under, and its
# database. It may make roles, and owns the database; it is no superuser.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$DATABASE_ADMIN_PASSWORD" --no-psqlrc --quiet \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE regulars_admin LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE regulars OWNER regulars_admin;
SQL
