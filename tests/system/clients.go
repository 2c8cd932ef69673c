// Go's HTTP client with its defaults and a cookie jar, told what to do by lines of JSON on standard input; each answer
// is a line of JSON. Argument: the base of all addresses.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"os"
)

type task struct {
	Path   string            `json:"path"`
	Method string            `json:"method"`
	Fields map[string]string `json:"fields"`
	Body   *string           `json:"body"`
	Blocks int               `json:"blocks"`
	Form   *struct {
		Name        string `json:"name"`
		Filename    string `json:"filename"`
		ContentType string `json:"content_type"`
	} `json:"form"`
}

type answer struct {
	Status int         `json:"status"`
	Fields [][2]string `json:"fields"`
	Body   string      `json:"body"`
}

// blocks is a body whose length the client is not told, so it sends chunks.
type blocks struct {
	block []byte
	left  int
	rest  []byte
}

func (b *blocks) Read(into []byte) (int, error) {
	if len(b.rest) == 0 {
		if b.left == 0 {
			return 0, io.EOF
		}
		b.left--
		b.rest = b.block
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func body(t task, block []byte) (io.Reader, string, error) {
	if t.Blocks > 0 {
		return &blocks{block: block, left: t.Blocks}, "", nil
	}
	if t.Body == nil {
		return nil, "", nil
	}
	content, err := hex.DecodeString(*t.Body)
	if err != nil || t.Form == nil {
		return bytes.NewReader(content), "", err
	}
	var made bytes.Buffer
	writer := multipart.NewWriter(&made)
	head := textproto.MIMEHeader{}
	head.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, t.Form.Name, t.Form.Filename))
	head.Set("Content-Type", t.Form.ContentType)
	part, err := writer.CreatePart(head)
	if err != nil {
		return nil, "", err
	}
	if _, err = part.Write(content); err != nil {
		return nil, "", err
	}
	err = writer.Close()
	return &made, writer.FormDataContentType(), err
}

func run(client *http.Client, base string, t task, block []byte) (*answer, error) {
	content, kind, err := body(t, block)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(t.Method, base+t.Path, content)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for name, value := range t.Fields {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	made := &answer{Status: response.StatusCode, Body: hex.EncodeToString(read)}
	for name, values := range response.Header {
		for _, value := range values {
			made.Fields = append(made.Fields, [2]string{name, value})
		}
	}
	if response.ContentLength >= 0 && response.Header.Get("Content-Length") == "" {
		made.Fields = append(made.Fields, [2]string{"Content-Length", fmt.Sprint(response.ContentLength)})
	}
	return made, nil
}

func main() {
	block := make([]byte, 65536)
	for index := range block {
		block[index] = byte(index)
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var t task
		var made *answer
		if err = json.Unmarshal(line, &t); err == nil {
			made, err = run(client, os.Args[1], t, block)
		}
		if err != nil {
			out.Encode(map[string]string{"error": err.Error()})
		} else {
			out.Encode(made)
		}
	}
}
