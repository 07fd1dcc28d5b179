package action

import "zcp2kopano/runtime/host"

// Connection says how a database is reached. Its password is kept outside the journal.
type Connection struct {
	Host        string      `json:"host,omitempty"`
	Port        int         `json:"port,omitempty"`
	Socket      string      `json:"socket,omitempty"`
	User        string      `json:"user,omitempty"`
	Password    host.Secret `json:"-"` // before Stage; then it is at PasswordRef
	PasswordRef string      `json:"password_ref,omitempty"`
	Database    string      `json:"database"`
}

// ConnectionTo is how an action reaches a database.
func ConnectionTo(db host.DatabaseConn) Connection {
	return Connection{Host: db.Host, Port: db.Port, Socket: db.Socket, User: db.User, Password: db.Password, Database: db.Database}
}

// stage puts the password outside the journal.
func (c *Connection) stage(env *Env) (err error) {
	if c.PasswordRef == "" && !c.Password.Empty() {
		c.PasswordRef, err = env.Secrets.Put(c.Password)
	}
	return err
}

func (c *Connection) conn(env *Env) (conn host.DatabaseConn, err error) {
	conn = host.DatabaseConn{Host: c.Host, Port: c.Port, Socket: c.Socket, User: c.User, Database: c.Database}
	if c.PasswordRef != "" {
		conn.Password, err = env.Secrets.Get(c.PasswordRef)
	}
	return conn, err
}
