# Write a dump of the database in DATABASE_URL to /backups: `backup.sh NAME`. The file name begins with NAME.
set -eu
file="/backups/$1-$(date -u +%Y-%m-%dT%H%M%SZ).dump"
pg_dump --format=custom --no-owner --no-privileges --file="$file.unfinished" "$DATABASE_URL"
pg_restore --list "$file.unfinished" >/dev/null
mv "$file.unfinished" "$file"
echo "Wrote $file, $(stat -c %s "$file") bytes."
# Delete old dumps only after a successful backup, so that the last dumps remain if backups fail.
find /backups -name "$1-*.dump*" -mtime +13 -print -delete
ls -l /backups
