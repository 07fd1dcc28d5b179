package secrets

import (
	"slices"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, name := range strings.Fields(`mysql_password ldap_bind_passwd bind_pw bindpw bind_passwd rootpw olcRootPW sslkey_pass ssl_key_pass
		server_ssl_key_pass server_ssl_keypass server_auth_password server_secret_key xmpp_password password PASSWORD_KEY PASSWORD_IV
		attachment_s3_secretaccesskey attachment_s3_accesskeyid MYSQL_PWD dbpass dbc_dbpass userPassword unicodePwd sambaNTPassword krbPrincipalKey
		shared-secret static-auth-secret api_key apiKey access_token password2 ldap_password passphrase IMAP_PASS credentials smtp.auth.password x_password_old`) {
		if !Name(name) {
			t.Errorf("%s is not taken for the name of a secret", name)
		}
	}
	for _, name := range strings.Fields(`password_min_length ssl_key_file server_ssl_key_file sslkeys_path ssl_private_key_file ldap_password_attribute
		ldap_user_password_attribute_type smtp_sasl_password_maps password_query pass_attrs pass_through bypass_auth passdb passwd_file encrypt_passwords PWD OLDPWD
		key keys tls_key_file loginuser_attribute pam_service ldap_authentication_method token_dir compass user_safe_mode passwordless pw_user upward`) {
		if Name(name) {
			t.Errorf("%s is taken for the name of a secret", name)
		}
	}
}

// TestForms has texts in which S, in as many forms as there are, is the secret and nothing else.
func TestForms(t *testing.T) {
	const s = "s3kr!t#x9"
	cases := []struct{ file, text string }{
		{"/etc/zarafa/server.cfg", "mysql_password = S\n"},
		{"/etc/zarafa/server.cfg", "#mysql_password\t=S  \r\nnext = value\n"},
		{"/etc/zarafa/server.cfg", "server_ssl_key_pass = S\nserver_ssl_key_file = /etc/zarafa/ssl/server.pem\n"},
		{"/etc/zarafa/spooler.cfg", "sslkey_pass = S\n"},
		{"/etc/zarafa/server.cfg", "server_ssl_key_pass = replace-with-server-cert-password\nmysql_password = S\n"},
		{"/etc/zarafa/ldap.cfg", "ldap_bind_passwd = S\nldap_password_attribute = userPassword\n"},
		{"/etc/zarafa/x.cfg", "ssl_key_pass: S\n"},
		{"/etc/postfix/mysql-virtual.cf", "user = mail\npassword = S\nquery = SELECT 1 FROM u WHERE p='%s'\n"},
		{"/etc/postfix/mysql-virtual.cf", "password =\n  S\nhosts = localhost\n"},
		{"/etc/postfix/ldap.cf", "bind = yes\nbind_pw = S\n"},
		{"/etc/postfix/sasl_passwd", "# relay\n[mail.example.org]:587 user@example.org:S\n"},
		{"/etc/postfix/smtp_auth", "mail.example.org\tuser:S\n"},
		{"/etc/postfix/main.cf", "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\nsmtp_tls_key_file = /etc/ssl/k.pem\n"},
		{"/etc/cron.d/backup", "0 3 * * * root curl -s -u alice:S https://example.org/x -o /tmp/x\n"},
		{"/etc/cron.d/backup", "0 3 * * * root MYSQL_PWD=S mysqldump zarafa\n"},
		{"/usr/local/bin/a", "#!/bin/sh\ncurl --user 'alice:S' https://example.org\nset -e\n"},
		{"/usr/local/bin/a", "#!/bin/sh\nPASSWORD='S'; export PASSWORD\nmysqldump -uroot -p\"$PASSWORD\" --password=\"$PASSWORD\" x\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nmysqldump -u root -p'S' zarafa | gzip\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nmysql --user=root --password='S' zarafa\nmkdir -p /x\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nmysql -pS3 --password=S3 zarafa\nMYSQL_PWD=S3 mysql -pS3\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nldapsearch -x -D cn=admin -w 'S' -b dc=x\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nzarafa-admin -c alice -p 'S' -f Alice\n"},
		{"/usr/local/bin/a", "#!/bin/bash\nwget ftp://u:S2@example.org/a/b@c\n"},
		{"/usr/local/bin/a.py", "#!/usr/bin/python\nconn = connect(user='x', password='S')\npassword = getpass()\n"},
		{"/etc/fstab", "//srv/x /mnt cifs user=x,password=S3,uid=0 0 0\n"},
		{"/root/.my.cnf", "[client]\nuser = root\npassword = \"S\"\n"},
		{"/etc/mysql/debian.cnf", "password = S\nsocket   = /run/mysqld.sock\n"},
		{"/etc/zarafa/webapp/config.php", "<?php\ndefine('DB_PASSWORD', 'S');\ndefine(\"PASSWORD_MIN_LENGTH\", 8);\n"},
		{"/etc/z-push/config.php", "<?php\n  $config['x_password'] = 'S';\n  $config['db']['host'] = 'localhost';\n"},
		{"/etc/z-push/config.php", "<?php\nreturn array('user' => 'x', 'password' => 'S', 'port' => 25);\n"},
		{"/etc/x.json", "{\"user\": \"x\", \"password\": \"S\", \"port\": 25}\n"},
		{"/etc/x.xml", "<a><password>S</password><user name=\"x\" password=\"S\"/></a>\n"},
		{"/etc/apt/auth.conf", "machine download.kopano.io login serial password S\n"},
		{"/etc/apt/auth.conf", "machine download.kopano.io\nlogin serial\npassword S\n"},
		{"/etc/apt/auth.conf", "# of the login\nmachine a login a password\n\tS\nmachine b login c password S machine d\n"},
		{"/root/.netrc", "machine a login b password \"S\" machine c login d password S\r\n"},
		{"/etc/apt/sources.list.d/kopano.list", "deb https://serial:S2@download.kopano.io/x ./\n"},
		{"/etc/ldap/slapd.conf", "rootdn cn=admin\nrootpw S\nsyncrepl binddn=cn=x credentials=S3 searchbase=x\n"},
		{"/etc/libnss-ldap.conf", "binddn cn=x\nbindpw S\npam_password md5\n"},
		{"/etc/ldap.secret", "S\n"},
		{"/etc/ppp/chap-secrets", "client server S *\n"},
		{"/root/users.ldif", "dn: uid=x\nuid: x\nuserPassword: S\nmail: x@example.org\n"},
		{"/root/users.ldif", "dn: uid=x\nuserPassword:: S\n S\nmail: x@example.org\n"},
		{"/etc/freeradius/clients.conf", "client x {\n\tsecret = S\n\tshortname = x\n}\n"},
		{"/etc/turnserver.conf", "static-auth-secret=S\nlistening-port=3478\n"},
		{"/etc/bind/rndc.key", "key \"x\" {\n\talgorithm hmac-md5;\n\tsecret \"S\";\n};\n"},
		{"/root/grant.sql", "GRANT ALL ON zarafa.* TO 'z'@'localhost' IDENTIFIED BY 'S';\n"},
		{"/etc/pam.d/zarafa", "password required pam_unix.so\nauth include common-auth\n"},
		{"/etc/nsswitch.conf", "passwd: files ldap\n"},
		{"/etc/passwd", "secret:x:1000:1000::/home/secret:/bin/sh\n"},
		{"/etc/sudoers", "alice ALL=(ALL) NOPASSWD: /usr/bin/zarafa-admin\n"},
	}
	for _, c := range cases {
		in := c.text
		for name, secret := range map[string]string{"S2": "s3kr!t#x@9", "S3": "s3kr!t-x9"} {
			in = strings.ReplaceAll(in, name, secret)
		}
		in = replaceWord(in, s)
		want := func(by string) string {
			out := strings.NewReplacer("S2", by, "S3", by).Replace(c.text)
			return replaceWord(out, by)
		}
		if got := Hide(c.file, in); got != want("xxxxxxxx") {
			t.Errorf("%s: %q\nbecomes %q\n   want %q", c.file, in, got, want("xxxxxxxx"))
		}
		if got := MaskFile(c.file, in); got != want(Mask) {
			t.Errorf("%s: %q\nis shown as %q\n      want %q", c.file, in, got, want(Mask))
		}
		if again := Hide(c.file, Hide(c.file, in)); again != Hide(c.file, in) {
			t.Errorf("%s: hidden twice: %q", c.file, again)
		}
	}
}

// TestLiterals has secrets that would be none in another file.
func TestLiterals(t *testing.T) {
	for _, secret := range []string{"=abc", "'abc", `"abc`, ":abc", "abc;", "$ABC", "${ABC}", "$abc", "VALUE", "FILE", "@ABC@", "%a"} {
		for name, text := range map[string]string{
			"/etc/apt/auth.conf":                     "machine x login y password S\n",
			"/etc/apt/auth.conf.d/kopano.conf":       "machine x\nlogin y\npassword S\nmachine z\n",
			"/root/.netrc":                           "machine x password S login y\n",
			"/etc/apt/sources.list":                  "deb http://a/ b c\ndeb [trusted=yes] https://x:S@y/z ./\n",
			"/etc/apt/sources.list.d/kopano.list":    "deb https://x:S@y/ ./\n",
			"/etc/apt/sources.list.d/kopano.sources": "Types: deb\nUris: https://x:S@y/\n",
			"/etc/yum.repos.d/kopano.repo":           "[kopano]\nbaseurl = https://x:S@y/z\n",
		} {
			in, want := strings.Replace(text, "S", secret, 1), strings.Replace(text, "S", Mask, 1)
			if got := MaskFile(name, in); got != want {
				t.Errorf("%s: %q\nis shown as %q\n      want %q", name, in, got, want)
			}
			if got := In(name, in); len(got) != 1 || got[0] != secret {
				t.Errorf("%s: %q: found %q", name, in, got)
			}
			if strings.Contains(Hide(name, in), secret) {
				t.Errorf("%s: %q: hidden: %q", name, in, Hide(name, in))
			}
		}
	}
}

func TestIn(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"/etc/apt/sources.list.d/a.list", "deb https://me:s3cr%21t@x/ ./\ndeb https://me:p@ss@y/ ./\n", []string{"s3cr%21t", "p@ss"}},
		{"/etc/apt/auth.conf", "machine x login y password a machine z login y password b\nmachine x login z password a\n", []string{"a", "b"}},
		{"/etc/yum.repos.d/a.repo", "[a]\nbaseurl=https://x/\nusername=me\npassword = a b\nproxy_password=c\n", []string{"a b", "c"}},
		{"/etc/zypp/credentials.d/a", "username=me\npassword=abc\n", []string{"abc"}},
		{"/etc/apt/preferences.d/a.pref", "Package: *\nPin: origin x\nPin-Priority: 600\n", nil},
		{"/etc/apt/sources.list.d/a.list", "deb [signed-by=/etc/apt/keyrings/a.gpg] https://x/ ./\n", nil},
	} {
		if got := In(c.name, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q: found %q", c.name, c.text, got)
		}
	}
}

// replaceWord replaces S where it stands alone.
func replaceWord(text, by string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		letter := func(j int) bool {
			return j >= 0 && j < len(text) && (text[j] >= 'A' && text[j] <= 'Z' || text[j] >= 'a' && text[j] <= 'z' || text[j] == '_')
		}
		if text[i] == 'S' && !letter(i-1) && !letter(i+1) {
			b.WriteString(by)
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func TestPrivateKeyKeepsItsSize(t *testing.T) {
	key := "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdef\nabc=\n-----END RSA PRIVATE KEY-----\nend\n"
	want := "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\nxxxxxxxxxx\nxxxx\n-----END RSA PRIVATE KEY-----\nend\n"
	if got := Hide("/etc/zarafa/ssl/server.pem", key); got != want {
		t.Errorf("got %q", got)
	}
}

func TestShadowKeepsWhatIsNoPassword(t *testing.T) {
	in := "root:$6$salt$abcdefghijklmnop:17000:0:99999:7:::\nzarafa:!:17000::::::\ndaemon:*:17000:0:99999:7:::\nold:abcdefghijklm:17000::::::\n"
	want := "root:xxxxxxxxxxxxxxxx:17000:0:99999:7:::\nzarafa:!:17000::::::\ndaemon:*:17000:0:99999:7:::\nold:xxxxxxxx:17000::::::\n"
	if got := Hide("/etc/shadow", in); got != want {
		t.Errorf("got %q", got)
	}
}

func TestMaskText(t *testing.T) {
	cases := map[string]string{
		"/etc/zarafa/server.cfg:3: mysql_password = a#b c":                       "/etc/zarafa/server.cfg:3: mysql_password = ***",
		"GET https://serial:geheim@download.kopano.io/x: 401":                    "GET https://serial:***@download.kopano.io/x: 401",
		"line 7: curl -u alice:geheim https://localhost:237":                     "line 7: curl -u alice:*** https://localhost:237",
		"mysqldump -uroot -pgeheim zarafa: exit status 2":                        "mysqldump -uroot -p*** zarafa: exit status 2",
		"give it with --secret repo_password=FILE, or --secret x_password=env:X": "give it with --secret repo_password=FILE, or --secret x_password=env:X",
		"wrong password for user zarafa":                                         "wrong password for user zarafa",
		"the user zarafa has no password set":                                    "the user zarafa has no password set",
		"password: it is empty":                                                  "password: it is empty",
		"password_min_length = 8":                                                "password_min_length = 8",
		"load it: zstd -dc /var/backups/z.sql.zst | mysql zarafa":                "load it: zstd -dc /var/backups/z.sql.zst | mysql zarafa",
		"check mysql_password and mysql_database in /etc/zarafa/server.cfg":      "check mysql_password and mysql_database in /etc/zarafa/server.cfg",
		"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----":            "-----BEGIN PRIVATE KEY-----\n***\n-----END PRIVATE KEY-----",
	}
	for in, want := range cases {
		if got := MaskText(in); got != want {
			t.Errorf("%q\nis shown as %q\n      want %q", in, got, want)
		}
	}
}
