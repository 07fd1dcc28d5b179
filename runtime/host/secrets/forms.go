package secrets

import (
	"regexp"
	"strings"
)

// A form is one way to write a secret within a line.
type form struct {
	pattern *regexp.Regexp
	needs   string // text that the line must have, in small letters; a quick test
	command *regexp.Regexp
	files   bool // not in messages, where it would match prose
	literal bool // the secret is what stands there: it is no variable and no word for one
	// groups of pattern; name is 0 where the form itself says that it is a secret
	name, secret int
}

const (
	quoted = `"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`
	word   = `(?:` + quoted + `|[^\s"';|&<>)]+)`
	// argument is one of a call, which calls nothing itself
	argument = `(?:` + quoted + `|[^,()"']*)`
)

var (
	sqlTools    = regexp.MustCompile(`\b(?:mysql|mariadb)[\w-]*\b|\bmytop\b|\bmydumper\b`)
	webTools    = regexp.MustCompile(`\b(?:curl|wget|http|lftp)\b`)
	ldapTools   = regexp.MustCompile(`\b(?:ldap(?:search|add|modify|delete|passwd|whoami|compare|modrdn)|slappasswd)\b`)
	mailTools   = regexp.MustCompile(`\b(?:zarafa|kopano)-[\w-]+\b`)
	shareTools  = regexp.MustCompile(`\b(?:smbclient|smbmount|rpcclient|net|mount)\b`)
	pipedTools  = regexp.MustCompile(`\|\s*(?:sudo\s+)?(?:\S*/)?(?:sudo\s+-\S*S|su|passwd|chpasswd|smbpasswd|saslpasswd2?|kinit|cryptsetup|openssl|gpg2?|mysql|ldap\w+|slappasswd|docker)\b`)
	unitSetting = regexp.MustCompile(`^\s*Environment\s*=`)
	passTools   = regexp.MustCompile(`\b(?:sshpass|htpasswd|openssl|7z|zip|unzip)\b`)
)

// inlineForms are looked for anywhere in a line.
var inlineForms = []form{
	// user:password@ in URLs
	{pattern: regexp.MustCompile(`\w://[^\s/:@"'<>]*:([^\s/"'<>]+)@`), needs: "://", secret: 1},
	// "name": "value" of JSON, 'name' => 'value' and $x['name'] = 'value' of PHP, define('NAME', 'value')
	{pattern: regexp.MustCompile(`["']([\w.-]+)["']\s*\]?\s*(?::|=>|=)\s*(` + quoted + `|\d+)`), name: 1, secret: 2},
	{pattern: regexp.MustCompile(`(?i)define\s*\(\s*["'](\w+)["']\s*,\s*(` + quoted + `|\d+)`), needs: "define", name: 1, secret: 2},
	// <name>value</name>
	{pattern: regexp.MustCompile(`<([\w.:-]+)>([^<>]+)</`), needs: "</", name: 1, secret: 2},
	// what crypt(3), htpasswd(1) and slappasswd(8) make of passwords
	{pattern: regexp.MustCompile(`(\$(?:1|2[abxy]?|5|6|7|y|gy|apr1)\$[./A-Za-z0-9$=,]{8,})`), needs: "$", secret: 1},
	{pattern: regexp.MustCompile(`(?i)(\{(?:S?SHA\d*|S?MD5|S?CRYPT|SMD5|PBKDF2[\w-]*|ARGON2\w*|PLAIN|CLEARTEXT|[\w-]+\.HEX)\}[^\s"',;]+)`), needs: "{", secret: 1},
	// --name=value and --name value
	{pattern: regexp.MustCompile(`(?:^|[\s"'])--?([A-Za-z][\w-]+)=(` + word + `)`), needs: "-", name: 1, secret: 2},
	{pattern: regexp.MustCompile(`(?:^|[\s"'])--([A-Za-z][\w-]+)[ \t]+(` + quoted + `|[^\s"';|&<>)-][^\s"';|&<>)]*)`), needs: "--", name: 1, secret: 2},
	// options of commands
	{pattern: regexp.MustCompile(`\s-p(` + word + `)`), needs: "-p", command: sqlTools, secret: 1},
	{pattern: regexp.MustCompile(`\s(?:-u|-U|--user|--proxy-user)[ \t=]*["']?[^\s:"']+:([^\s"']+)`), needs: "-u", command: webTools, secret: 1},
	{pattern: regexp.MustCompile(`\s--(?:proxy-)?user[ \t=]*["']?[^\s:"']+:([^\s"']+)`), needs: "user", command: webTools, secret: 1},
	{pattern: regexp.MustCompile(`\s-[ws][ \t]*(` + word + `)`), needs: "-", command: ldapTools, secret: 1},
	{pattern: regexp.MustCompile(`\s-p[ \t]+(` + word + `)`), needs: "-p", command: mailTools, secret: 1},
	{pattern: regexp.MustCompile(`\s-U[ \t]*["']?[^\s%"']+%([^\s"']+)`), needs: "%", command: shareTools, secret: 1},
	{pattern: regexp.MustCompile(`\s-[pP][ \t]*(` + word + `)`), needs: "-p", command: passTools, secret: 1},
	{pattern: regexp.MustCompile(`\bpass:(` + word + `)`), needs: "pass:", secret: 1},
	// SQL
	{pattern: regexp.MustCompile(`(?i)\bidentified\s+(?:by|with\s+\w+\s+(?:by|as))\s+(?:password\s+)?(` + quoted + `)`), needs: "identified", secret: 1},
	{pattern: regexp.MustCompile(`(?i)\bpassword\s*\(\s*(` + quoted + `)`), needs: "password", secret: 1},
	// user and password in a call: mysqli_connect('host', 'user', 'password'), new PDO(...)
	{pattern: regexp.MustCompile(`(?i)\b(?:mysqli?_p?connect|new\s+\\?(?:mysqli|PDO)|imap_open|ftp_login|ldap_bind|ssh2_auth_password|DBI->connect)\s*\(\s*` +
		argument + `\s*,\s*` + argument + `\s*,\s*(` + quoted + `)`), needs: "(", literal: true, secret: 1},
	// what is piped into, or handed to, a program that wants a password
	{pattern: regexp.MustCompile(`\b(?:echo|printf)\s+(?:-\w+\s+)*(?:["']?%s(?:\\n)?["']?\s+)?(` + word + `)\s*\|`), needs: "|", command: pipedTools, secret: 1},
	{pattern: regexp.MustCompile(`\b\w*passwd\b[^|<]*<<<\s*(` + word + `)`), needs: "<<<", secret: 1},
	// Postfix: static:user:password
	{pattern: regexp.MustCompile(`\bstatic:\{?\s*[^\s:]+:([^\s}]+)`), needs: "static:", literal: true, secret: 1},
	// systemd
	{pattern: regexp.MustCompile(`^\s*SetCredential(?:Encrypted)?\s*=\s*[^:]+:(.+)$`), needs: "setcredential", literal: true, secret: 1},
	{pattern: regexp.MustCompile(`^\s*Environment\s*=\s*["']?([A-Za-z_]\w*)=([^\s"']+)`), needs: "environment", name: 1, secret: 2},
	{pattern: regexp.MustCompile(`["']([A-Za-z_]\w*)=([^"']*)["']`), needs: "=", command: unitSetting, name: 1, secret: 2},
	// headers: -H 'NAME: value', proxy_set_header NAME value, RequestHeader set NAME value
	{pattern: regexp.MustCompile(`(?:-H|--header)[ \t=]*["']?([\w-]+):[ \t]*([^"'\s][^"']*)`), needs: "-h", name: 1, secret: 2},
	{pattern: regexp.MustCompile(`(?i)\b(?:proxy_set_header|(?:Request)?Header\s+(?:always\s+)?set|add_header|http-request\s+set-header)\s+([\w-]+)\s+(` + word + `)`), needs: "header", name: 1, secret: 2},
	// {name: value, name: value} of YAML
	{pattern: regexp.MustCompile(`[{,]\s*([A-Za-z_][\w.-]*)\s*:\s*(` + quoted + `|[^\s,}"']+)`), needs: ":", files: true, name: 1, secret: 2},
	// <add key="name" value="value"/>, <entry key="name">value</entry>
	{pattern: regexp.MustCompile(`(?:key|name)\s*=\s*["']([\w.-]+)["']\s+value\s*=\s*(` + quoted + `)`), needs: "value", name: 1, secret: 2},
	{pattern: regexp.MustCompile(`(?:key|name)\s*=\s*["']([\w.-]+)["'][^<>]*>([^<>]+)</`), needs: "</", name: 1, secret: 2},
	// HTTP
	{pattern: regexp.MustCompile(`(?i)authorization["']?\s*[:=]\s*["']?(?:basic|bearer)\s+([A-Za-z0-9+/=._~-]+)`), needs: "authorization", secret: 1},
	// login u password p of netrc(5) and apt's auth.conf, user u pass p of fetchmail
	{pattern: regexp.MustCompile(`\b(?:machine|login|user|username)\b.*?\b(?:password|passwd|pass)[ \t]+(?:is[ \t]+)?(` + quoted + `|[^\s"'=:]\S*)`), needs: "pass", files: true, secret: 1},
	// name=value among other words: MYSQL_PWD=x mysqldump, -o user=x,password=y, password="x" of XML
	{pattern: regexp.MustCompile(`(?:^|[\s,;&?"'(:=])([A-Za-z_][\w.-]*)=(` + quoted + `|[^\s,;&"'<>)=~|]+)`), needs: "=", name: 1, secret: 2},
}

// literalForms are those of files that know no variables; they go on over the ends of lines.
var literalForms = []struct {
	file *regexp.Regexp
	form form
}{
	// netrc(5) and apt_auth.conf(5) are pairs of words; only the former has quotes
	{regexp.MustCompile(`(?:^|/)[._]?netrc$|^/etc/apt/auth\.conf(?:$|\.d/)`),
		form{pattern: regexp.MustCompile(`\b(?:machine|login|account)\s+\S+|\bpassw(?:or)?d\s+("(?:[^"\\\n]|\\.)*"|\S+)`), literal: true, secret: 1}},
	// the URLs of repositories, with signs that would end one elsewhere
	{regexp.MustCompile(`^/etc/apt/sources\.list(?:$|\.d/)|\.repo$`),
		form{pattern: regexp.MustCompile(`://[^/@\s:]*:([^/\s]+)@`), literal: true, secret: 1}},
}

func literals(name, text string, with func(string) string) string {
	for _, l := range literalForms {
		if l.file.MatchString(name) {
			text = l.form.replace(text, with)
		}
	}
	return text
}

// inline replaces the secrets that stand anywhere in a line, of a file or of a message.
func inline(line string, with func(string) string, file bool) string {
	small := strings.ToLower(line)
	for _, f := range inlineForms {
		if !strings.Contains(small, f.needs) || f.files && !file || f.command != nil && !f.command.MatchString(line) {
			continue
		}
		line = f.replace(line, with)
	}
	return line
}

func (f form) replace(line string, with func(string) string) string {
	var b strings.Builder
	done := 0
	for _, m := range f.pattern.FindAllStringSubmatchIndex(line, -1) {
		from, to := m[2*f.secret], m[2*f.secret+1]
		if from < 0 {
			continue
		}
		g := sure
		if f.name > 0 {
			g = grade(line[m[2*f.name]:m[2*f.name+1]])
		}
		b.WriteString(line[done:from])
		if f.literal {
			b.WriteString(replaceLiteral(line[from:to], with))
		} else {
			b.WriteString(replaceValue(line[from:to], g, with))
		}
		done = to
	}
	return b.String() + line[done:]
}

// replaceValue replaces a value if it is a secret; quotes stay.
func replaceValue(value string, grade int, with func(string) string) string {
	open, inner, end := unquote(value)
	if !held(grade, inner) || variable.MatchString(inner) && open != "'" {
		return value
	}
	return open + with(inner) + end
}

// replaceLiteral replaces a value whatever it looks like; quotes stay.
func replaceLiteral(value string, with func(string) string) string {
	open, inner, end := unquote(value)
	if inner == "" {
		return value
	}
	return open + with(inner) + end
}

// variable is what a shell replaces.
var variable = regexp.MustCompile(`^\$(?:[A-Za-z_]\w*|[0-9@*#?]|\{[^}]*\}|\(.*\))$`)

func unquote(value string) (open, inner, end string) {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[:1], value[1 : n-1], value[n-1:]
	}
	return "", value, ""
}
