# Runs inside the container: a Django shop as it stands on a server. Its database is its own role's, its settings take
# the password from its unit, and one of them is worked out by code that only its own manage.py can run.
sudo -u postgres psql --quiet -c "CREATE ROLE shop LOGIN PASSWORD 'shop-secret'"
sudo -u postgres createdb --owner=shop shop
PGPASSWORD=shop-secret psql --quiet --set=ON_ERROR_STOP=1 'postgresql://shop@127.0.0.1/shop' <tests/shop_schema.sql
install -d -o www-data -g www-data -m 0755 /srv/shop /srv/shop/media /srv/shop/jersey
cat >/srv/shop/jersey/settings.py <<'END'
import os
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "127.0.0.1",
    "USER": "shop", "PASSWORD": os.environ["SHOP_DB_PASSWORD"],
}}
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", 8425
DEFAULT_FROM_EMAIL = "Jersey Events <tickets@shop.example>"
TIME_ZONE = "Europe/Jersey"
MEDIA_ROOT = folder_for("media")
END
# What Django's would print. It must be run as the shop's user, and never by paypoll itself.
cat >/srv/shop/manage.py <<'END'
import os, pwd, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jersey.settings")
assert pwd.getpwuid(os.getuid()).pw_name == "www-data", "run as somebody else"
assert sys.argv[1:] == ["diffsettings", "--all"] and os.environ["SHOP_DB_PASSWORD"] == "shop-secret"
print("DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'shop', 'HOST': '127.0.0.1',"
      " 'USER': 'shop', 'PASSWORD': 'shop-secret', 'PORT': ''}}")
print("EMAIL_BACKEND = 'django.core.mail.backends.smtp.EmailBackend'  ###\nEMAIL_HOST = '127.0.0.1'\nEMAIL_PORT = 8425")
print("DEFAULT_FROM_EMAIL = 'Jersey Events <tickets@shop.example>'\nTIME_ZONE = 'Europe/Jersey'")
print("MEDIA_ROOT = PosixPath('/srv/shop/media')")
END
chown -R www-data:www-data /srv/shop
cat >/etc/systemd/system/shop.service <<'END'
[Service]
User=www-data
WorkingDirectory=/srv/shop
Environment=SHOP_DB_PASSWORD=shop-secret
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 8081
END
systemctl daemon-reload
