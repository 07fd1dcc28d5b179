package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// talkIMAP greets, and lets in whoever logs in while a server answers.
func talkIMAP(d *service.Daemon, c net.Conn) {
	fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] IMAP gateway ready\r\n")
	for lines := bufio.NewScanner(c); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		switch strings.ToUpper(words[1]) {
		case "LOGIN":
			if err := askServer(d); err != nil {
				fmt.Fprintf(c, "%s NO LOGIN %v\r\n", words[0], err)
				continue
			}
			fmt.Fprintf(c, "%s OK LOGIN completed\r\n", words[0])
		case "LOGOUT":
			fmt.Fprintf(c, "* BYE\r\n%s OK LOGOUT completed\r\n", words[0])
			return
		default:
			fmt.Fprintf(c, "%s BAD unknown command\r\n", words[0])
		}
	}
}

// talkPOP3 greets, and lets in whoever gives a password while a server answers.
func talkPOP3(d *service.Daemon, c net.Conn) {
	fmt.Fprint(c, "+OK POP3 gateway ready\r\n")
	for lines := bufio.NewScanner(c); lines.Scan(); {
		word, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		switch word {
		case "USER":
			fmt.Fprint(c, "+OK\r\n")
		case "PASS":
			if err := askServer(d); err != nil {
				fmt.Fprintf(c, "-ERR %v\r\n", err)
				continue
			}
			fmt.Fprint(c, "+OK\r\n")
		case "QUIT":
			fmt.Fprint(c, "+OK\r\n")
			return
		default:
			fmt.Fprint(c, "-ERR unknown command\r\n")
		}
	}
}

func talkLMTP(_ *service.Daemon, c net.Conn) {
	fmt.Fprint(c, "220 2.1.5 LMTP server is ready\r\n")
	for lines := bufio.NewScanner(c); lines.Scan(); {
		switch word, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " "); word {
		case "LHLO":
			fmt.Fprint(c, "250 SIZE\r\n")
		case "QUIT":
			fmt.Fprint(c, "221 2.0.0 Bye\r\n")
			return
		default:
			fmt.Fprint(c, "503 5.1.1 unknown recipient\r\n")
		}
	}
}

// talkSearch answers the question for its properties, and knows no other.
func talkSearch(_ *service.Daemon, c net.Conn) {
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && strings.TrimSpace(line) == "PROPS" {
		fmt.Fprint(c, "OK:4117 4166\r\n")
	}
}

func talkHTTP(d *service.Daemon, c net.Conn) {
	request, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	request.Body.Close()
	if d.Daemon != "ical" {
		fmt.Fprint(c, "HTTP/1.0 404 NOT FOUND\r\nContent-Length: 0\r\n\r\n")
		return
	}
	realm := strings.ToUpper(d.Product[:1]) + d.Product[1:] + " CalDav Gateway"
	fmt.Fprintf(c, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"%s\"\r\nContent-Length: 0\r\n\r\n", realm)
}

// askServer asks whichever server answers at the daemon's server_socket.
func askServer(d *service.Daemon) error {
	client := http.Client{Timeout: 5 * time.Second}
	url := d.Settings["server_socket"]
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		url = "http://localhost/"
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
	}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if got := answer.Header.Get("Server"); got != "gSOAP/2.8" {
		return fmt.Errorf("no server of the kind: %q", got)
	}
	return nil
}
