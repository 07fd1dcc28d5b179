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

// Servers implements Connector for what is made of it.
func (c *Connection) Servers() ([]host.Server, error) {
	return []host.Server{host.DatabaseConn{Host: c.Host, Port: c.Port, Socket: c.Socket}.Server()}, nil
}

// stage puts the password outside the journal.
func (c *Connection) stage(env *Env) (err error) {
	c.PasswordRef, err = putPassword(env, c.Password, c.PasswordRef)
	return err
}

func (c *Connection) conn(env *Env) (conn host.DatabaseConn, err error) {
	conn = host.DatabaseConn{Host: c.Host, Port: c.Port, Socket: c.Socket, User: c.User, Database: c.Database}
	conn.Password, err = getPassword(env, c.PasswordRef)
	return conn, err
}

// Directory says how a directory is reached. Its password is kept outside the journal.
type Directory struct {
	URLs        []string    `json:"urls"`
	StartTLS    bool        `json:"start_tls,omitempty"`
	BindDN      string      `json:"bind_dn,omitempty"`
	Password    host.Secret `json:"-"` // before Stage; then it is at PasswordRef
	PasswordRef string      `json:"password_ref,omitempty"`
	External    bool        `json:"external,omitempty"`
	CAFile      string      `json:"ca_file,omitempty"`
}

// DirectoryAt is how an action reaches a directory.
func DirectoryAt(conn host.DirectoryConn) Directory {
	return Directory{URLs: conn.URLs, StartTLS: conn.StartTLS, BindDN: conn.BindDN, Password: conn.Password, External: conn.External, CAFile: conn.CAFile}
}

// Servers implements Connector for what is made of it.
func (d *Directory) Servers() ([]host.Server, error) {
	return host.DirectoryConn{URLs: d.URLs}.Servers()
}

func (d *Directory) stage(env *Env) (err error) {
	d.PasswordRef, err = putPassword(env, d.Password, d.PasswordRef)
	return err
}

func (d *Directory) conn(env *Env) (conn host.DirectoryConn, err error) {
	conn = host.DirectoryConn{URLs: d.URLs, StartTLS: d.StartTLS, BindDN: d.BindDN, External: d.External, CAFile: d.CAFile}
	conn.Password, err = getPassword(env, d.PasswordRef)
	return conn, err
}

// putPassword keeps a password outside the journal, unless it is at ref already, and returns where it is.
func putPassword(env *Env, password host.Secret, ref string) (string, error) {
	if ref != "" || password.Empty() {
		return ref, nil
	}
	return env.Secrets.Put(password)
}

// getPassword is the password at ref; none where that is empty.
func getPassword(env *Env, ref string) (host.Secret, error) {
	if ref == "" {
		return host.Secret{}, nil
	}
	return env.Secrets.Get(ref)
}
