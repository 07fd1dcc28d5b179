package secrets

import (
	"fmt"
	"strings"
	"testing"
)

// planted are places in which secrets stand on servers: file, and text in which geheim is one.
func planted() [][2]string {
	rows := [][2]string{
		{"/etc/systemd/system/a.service", "[Service]\nEnvironment=DB_PASSWORD=geheim\n"},
		{"/etc/systemd/system/a.service", "[Service]\nEnvironment=\"API_TOKEN=geheim\" \"LANG=C\"\n"},
		{"/etc/systemd/system/a.service", "[Service]\nEnvironment=LANG=C SMTP_PASS=geheim\n"},
		{"/etc/systemd/system/a.service", "[Service]\nSetCredential=key:geheim and more\n"},
		{"/etc/systemd/system/a.service", "[Service]\nSetCredentialEncrypted = key:geheim\n"},
		{"/etc/systemd/system/a.service", "[Service]\nExecStart=/usr/bin/mysql -pgeheim x\n"},
		{"/etc/postfix/main.cf", "smtp_sasl_password_maps = static:user:geheim\n"},
		{"/etc/postfix/main.cf", "smtp_sasl_password_maps = static:{user:geheim}\n"},
		{"/etc/postfix/main.cf", "relay_password =\n  geheim\n"},
		{"/etc/zarafa/license/base", "geheim\n"},
		{"/etc/zarafa/license", "ABCgeheim\n"},
		{"/etc/kopano/license/base", "geheim\ngeheim\n"},
		{"/var/www/a.php", "<?php\n$c = mysqli_connect('localhost', 'root', 'geheim', 'x');\n"},
		{"/var/www/a.php", "<?php\n$c = mysqli_connect($host, $user, \"geheim\");\n"},
		{"/var/www/a.php", "<?php\n$c = mysql_pconnect('h', 'u', 'geheim');\n"},
		{"/var/www/a.php", "<?php\n$c = mysql_connect('h', 'u', 'geheim') or die();\n"},
		{"/var/www/a.php", "<?php\n$c = new mysqli('h', 'u', 'geheim');\n"},
		{"/var/www/a.php", "<?php\n$c = new PDO('mysql:host=h;dbname=x', 'u', 'geheim');\n"},
		{"/var/www/a.php", "<?php\n$c = new \\PDO($dsn, $user, 'geheim', []);\n"},
		{"/var/www/a.php", "<?php\nldap_bind($c, 'cn=admin', 'geheim');\nimap_open('{h}', 'u', 'geheim');\n"},
		{"/var/www/a.pl", "#!/usr/bin/perl\nmy $d = DBI->connect('dbi:mysql:x', 'u', 'geheim');\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho geheim | passwd --stdin zarafa\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho 'zarafa:geheim' | chpasswd\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho \"zarafa:geheim\" | sudo chpasswd\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nprintf '%s\\n' geheim | sudo -S ls\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho -n geheim | openssl enc -pass stdin\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho -e geheim | kinit admin\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nchpasswd <<< zarafa:geheim\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nchpasswd <<EOF\nzarafa:geheim\nother:geheim\nEOF\nls\n"},
		{"/usr/local/bin/a", "#!/bin/sh\n/usr/sbin/chpasswd <<-'END'\n\tzarafa:geheim\n\tEND\n"},
		{"/usr/local/bin/a", "#!/bin/sh\ncurl -H 'X-Api-Key: geheim' https://x/\n"},
		{"/usr/local/bin/a", "#!/bin/sh\ncurl --header \"X-Auth-Token: geheim\" https://x/\n"},
		{"/usr/local/bin/a", "#!/bin/sh\ncurl -H \"Authorization: Bearer geheim\" https://x/\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nJWT=geheim\nexport GITHUB_TOKEN=geheim\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nDB_PASSWORD=\\\ngeheim\nls\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nmysqldump -u root \\\n  --password=geheim \\\n  zarafa\n"},
		{"/etc/nginx/sites-enabled/x", "proxy_set_header X-Api-Key \"geheim\";\n"},
		{"/etc/apache2/conf.d/x", "RequestHeader set X-Auth-Token geheim\n"},
		{"/etc/haproxy/haproxy.cfg", "http-request set-header X-Api-Key geheim\n"},
		{"/root/key.ppk", "PuTTY-User-Key-File-2: ssh-rsa\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 2\ngeheim1\ngeheim2\nPrivate-MAC: geheim\n"},
		{"/etc/x.yaml", "db:\n  password: |\n    geheim\n    geheim\n  user: x\n"},
		{"/etc/x.yaml", "db:\n  - password: >-\n      geheim\n\n      geheim\n  - user: x\n"},
		{"/etc/x.yaml", "db: {user: x, password: geheim, port: 3}\n"},
		{"/etc/x.yaml", "db: {password: 'geheim', user: x}\n"},
		{"/etc/x.yaml", "users:\n  - password: geheim\n"},
		{"/etc/x.xml", "<user name=\"x\" password=\"geheim\"/>\n"},
		{"/etc/x.xml", "<add key=\"DbPassword\" value=\"geheim\"/>\n"},
		{"/etc/x.xml", "<property name=\"connection.password\" value='geheim' />\n"},
		{"/etc/x.xml", "<entry key=\"db.password\">geheim</entry>\n"},
		{"/etc/x.properties", "db.password = abc\\\n  geheim\nnext = x\n"},
		{"/etc/x.conf", "secret_key = \\\n    geheim\\\n    geheim\nnext = x\n"},
		{"/etc/x.conf", "subscription_key = geheim\nlicense_key = geheim\nserial = geheim\n"},
	}
	forms := map[string]string{
		"/etc/x.cfg": "%s = geheim\nother = x\n", "/etc/y.cfg": "#%s=geheim\n", "/etc/x.yml": "%s: geheim\n",
		"/etc/x.json": "{\"a\": 1, \"%s\": \"geheim\"}\n", "/etc/x.php": "<?php\n$config['%s'] = 'geheim';\n",
		"/usr/local/bin/x": "#!/bin/sh\nexport %s='geheim'\n", "/etc/systemd/system/x.service": "Environment=\"%s=geheim\"\n",
	}
	for _, name := range strings.Fields("password db_password bind_pw mysql_passwd api_key access_token refresh_token session_token slack_token jwt app_jwt client_secret") {
		for file, form := range forms {
			rows = append(rows, [2]string{file, fmt.Sprintf(form, name)})
		}
	}
	return rows
}

// None of these is left in what a snapshot holds of a file, and each file has as many lines as before.
func TestPlanted(t *testing.T) {
	rows := planted()
	if len(rows) < 115 {
		t.Errorf("only %d secrets are planted", len(rows))
	}
	for _, row := range rows {
		for what, rewrite := range map[string]func(name, text string) string{"held": Hide, "shown": MaskFile} {
			got := rewrite(row[0], row[1])
			if strings.Contains(got, "geheim") || strings.Count(got, "\n") != strings.Count(row[1], "\n") {
				t.Errorf("%s: %q is %s as %q", row[0], row[1], what, got)
			}
		}
	}
}

// What only looks like it stays.
func TestNotPlanted(t *testing.T) {
	for _, row := range [][2]string{
		{"/etc/postfix/main.cf", "virtual_mailbox_maps = static:all\nvirtual_uid_maps = static:5000\n"},
		{"/etc/x.yaml", "text: |\n  some words\n  more words\nuser: x\n"},
		{"/usr/local/bin/a", "#!/bin/sh\necho done | mail root\ncat list | sort\ncat <<EOF\na:b\nEOF\n"},
		{"/etc/systemd/system/a.service", "[Service]\nEnvironment=LANG=C PATH=/bin\nExecStart=/bin/x\n"},
		{"/etc/nginx/x", "proxy_set_header Host $host;\nproxy_set_header X-Real-IP $remote_addr;\n"},
		{"/etc/x.cfg", "log_file = \\\n  /var/log/x\nnext = y\n"},
		{"/etc/x.xml", "<add key=\"Color\" value=\"red\"/>\n<entry key=\"host\">localhost</entry>\n"},
		{"/var/www/a.php", "<?php\n$c = mysqli_connect($host, $user, $password);\nfopen('a', 'b');\n"},
	} {
		if got := Hide(row[0], row[1]); got != row[1] {
			t.Errorf("%s: %q becomes %q", row[0], row[1], got)
		}
	}
}

func TestHideUnknown(t *testing.T) {
	known := func(_, name string) bool { return name == "log_level" || name == "mine" }
	in := "log_level = 3\n# a comment = with words\n#log_level=4\nmine = x\nsite_option = hello there\n!include a.cfg\nnumber=7\n"
	want := "log_level = 3\n# a comment = with words\n#log_level=4\nmine = x\nsite_option = xxxxxxxx\n!include a.cfg\nnumber=xxxx\n"
	if got := HideUnknown("/etc/x.cfg", in, known); got != want {
		t.Errorf("got %q", got)
	}
}
