package main

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// storage is where attachments are: ECFileAttachment, ECDatabaseAttachment and ECS3Attachment of kopano-core 8.7.20.
type storage interface {
	read(number int64) ([]byte, error)
	write(number int64, content []byte) error
	remove(number int64) error
}

func storageOf(d *service.Daemon, db *sql.DB) storage {
	switch d.Settings["attachment_storage"] {
	case "database":
		return rows{db}
	case "s3":
		return objects(d.Settings)
	}
	return files{d.Settings["attachment_path"], d.Settings["attachment_compression"]}
}

// files are below a directory.
type files struct{ dir, compression string }

// at is where an attachment lies, plain; compressed it has .gz behind.
func (f files) at(number int64) string {
	return filepath.Join(f.dir, strconv.FormatInt(number%10, 10), strconv.FormatInt(number/10%20, 10), strconv.FormatInt(number, 10))
}

// read looks for the plain file first, whichever is the newer one.
func (f files) read(number int64) ([]byte, error) {
	data, err := os.ReadFile(f.at(number))
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	packed, err := os.Open(f.at(number) + ".gz")
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// write compresses, and writes over what is there.
func (f files) write(number int64, content []byte) error {
	level, err := strconv.Atoi(f.compression)
	if err != nil || level == 0 {
		return os.WriteFile(f.at(number), content, 0o640)
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, level)
	if err != nil {
		return err
	}
	z.Write(content)
	z.Close()
	return os.WriteFile(f.at(number)+".gz", packed.Bytes(), 0o640)
}

// remove removes whichever file is there.
func (f files) remove(number int64) error {
	if err := os.Remove(f.at(number)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Remove(f.at(number) + ".gz")
}

// rows are in the table lob, in pieces.
type rows struct{ db *sql.DB }

const piece = 384 << 10

func (r rows) read(number int64) (content []byte, err error) {
	found, err := r.db.Query("SELECT val_binary FROM lob WHERE instanceid = ? ORDER BY chunkid", number)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	n := 0
	for ; found.Next(); n++ {
		var part []byte
		if err := found.Scan(&part); err != nil {
			return nil, err
		}
		content = append(content, part...)
	}
	if err := found.Err(); err != nil || n > 0 {
		return content, err
	}
	return nil, fmt.Errorf("attachment %d: %w", number, fs.ErrNotExist)
}

func (r rows) write(number int64, content []byte) error {
	for n := 0; n == 0 || n*piece < len(content); n++ {
		part := content[n*piece : min(len(content), (n+1)*piece)]
		if _, err := r.db.Exec("INSERT INTO lob (instanceid, chunkid, tag, val_binary) VALUES (?, ?, ?, ?)", number, n, contentTag, part); err != nil {
			return err
		}
	}
	return nil
}

func (r rows) remove(number int64) error {
	_, err := r.db.Exec("DELETE FROM lob WHERE instanceid = ?", number)
	return err
}

// objects are in a bucket of S3, by the settings. Whether it can be reached shows with the first of them.
type objects map[string]string

func (o objects) read(number int64) ([]byte, error) {
	answer, err := o.ask(http.MethodGet, number, nil)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (o objects) write(number int64, content []byte) error {
	_, err := o.ask(http.MethodPut, number, content)
	return err
}

func (o objects) remove(number int64) error {
	_, err := o.ask(http.MethodDelete, number, nil)
	return err
}

// ask makes a signed request (version 2 of the signatures, which the libs3 of ZCP's time makes).
func (o objects) ask(method string, number int64, content []byte) ([]byte, error) {
	resource := fmt.Sprintf("/%s/%s/%d", o["attachment_s3_bucketname"], o["attachment_path"], number)
	url := o["attachment_s3_protocol"] + "://" + o["attachment_s3_hostname"] + resource
	request, err := http.NewRequest(method, url, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	sum := hmac.New(sha1.New, []byte(o["attachment_s3_secretaccesskey"]))
	fmt.Fprintf(sum, "%s\n\n\n%s\n%s", method, date, resource)
	request.Header.Set("Date", date)
	request.Header.Set("Authorization", "AWS "+o["attachment_s3_accesskeyid"]+":"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	answer, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("S3: %s %s: %s", method, resource, answer.Status)
	}
	return data, err
}
