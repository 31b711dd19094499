# Replace the schema `public` of the database in DATABASE_URL with a dump: `restore.sh NAME`. The dump is the file
# BACKUP in /backups, or by default the newest file whose name begins with NAME.
set -eu
file="/backups/${BACKUP:-$(ls /backups | grep "^$1-.*\.dump$" | sort | tail -n 1)}"
# Check that the whole dump is readable before the schema is dropped.
pg_restore --file=/dev/null "$file"
psql --quiet --set=ON_ERROR_STOP=1 \
    --command='DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public' "$DATABASE_URL"
pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$DATABASE_URL" "$file"
echo "Restored $file."
