package main

import (
	"net"
	"strings"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// session is what a spooler has with its server all the time: it waits there to hear of mail, and tries
// again three seconds after it was cut off. From the sources of ZCP 7.2.6 and kopano-core 8.7.20, ProcessQueue.
func session(d *service.Daemon) {
	for lost := 0; ; lost++ {
		if err := hold(d); err != "" {
			d.Logf(service.Error, "Unable to open admin session: %s", err)
		}
		if lost == 0 {
			d.Logf(service.Warning, "Server connection lost. Reconnecting in 3 seconds...")
		}
		time.Sleep(3 * time.Second)
	}
}

// hold returns when the session has ended, or why there is none.
func hold(d *service.Daemon) string {
	conn, err := dialServer(d)
	if err != nil {
		return "network error (80040115)"
	}
	defer conn.Close()
	if d.Behaviour.NoSession {
		return "logon failed (80040111)"
	}
	conn.Read(make([]byte, 1))
	return ""
}

func dialServer(d *service.Daemon) (net.Conn, error) {
	server := d.Settings["server_socket"]
	switch {
	case server == "default:":
		return net.Dial("unix", d.RunDir()+"/server.sock")
	case strings.HasPrefix(server, "file://"):
		return net.Dial("unix", strings.TrimPrefix(server, "file://"))
	}
	_, rest, _ := strings.Cut(server, "://")
	address, _, _ := strings.Cut(rest, "/")
	return net.Dial("tcp", address)
}
