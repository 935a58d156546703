package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// order is the part of LoadOrder (packages/client/src/load/load.ts) that this program supports.
type order struct {
	Kind    string
	Route   route
	Streams int
	// Of HTTP: TLS is not supported. Reconnect opens a connection for each request.
	TLS       bool
	Reconnect bool
	// All gRPC streams share one connection. Otherwise each has its own, as in kube-apiserver.
	SharesConnection bool
}

// startLoad starts clients that repeat one operation until the process ends. It returns after the first
// success.
func startLoad(wanted order, counts *meter) error {
	open, err := opener(wanted)
	if err != nil {
		return err
	}
	operation, err := operationOf(wanted)
	if err != nil {
		return err
	}
	for range wanted.Streams {
		go func() {
			c := &client{
				open:    open,
				connect: connectRequest(wanted.Route),
				reader:  bufio.NewReader(nil),
				counts:  counts,
			}
			for {
				if err := operation(c); err != nil {
					counts.fail(err)
					c.abort()
				}
			}
		}()
	}
	<-counts.succeeded
	return nil
}

func operationOf(wanted order) (func(*client) error, error) {
	authority := wanted.Route.Target.authority()
	get := fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\n", authority)
	switch {
	case wanted.Kind == "open":
		return (*client).echoByte, nil
	case wanted.Kind == "http" && !wanted.TLS && wanted.Reconnect:
		request := []byte(get + "Connection: close\r\n\r\n")
		return func(c *client) error { return c.getOnce(request) }, nil
	case wanted.Kind == "http" && !wanted.TLS:
		request := []byte(get + "\r\n")
		return func(c *client) error { return c.getAgain(request) }, nil
	}
	return nil, fmt.Errorf("fairlead-load: kind %s: not supported. Use open, or http without TLS", wanted.Kind)
}

// client has at most one stream at a time.
type client struct {
	open func() (stream, error)
	// connect is the CONNECT that starts each stream, or empty.
	connect []byte
	stream  stream
	reader  *bufio.Reader
	counts  *meter
}

// echoByte opens a stream, sends a byte, reads it back, and closes the stream. The latency covers opening and
// byte.
func (c *client) echoByte() error {
	since := time.Now()
	if err := c.openStream(); err != nil {
		return err
	}
	if _, err := c.stream.Write([]byte("x")); err != nil {
		return err
	}
	if _, err := c.reader.ReadByte(); err != nil {
		return fmt.Errorf("closed before the byte came back: %w", err)
	}
	latency := time.Since(since)
	c.end()
	c.counts.succeed(latency, 1)
	return nil
}

// getOnce sends a request on a new stream, and reads until the target closes it. The latency covers opening
// and answer.
func (c *client) getOnce(request []byte) error {
	since := time.Now()
	if err := c.openStream(); err != nil {
		return err
	}
	length, err := c.get(request)
	if err != nil {
		return err
	}
	latency := time.Since(since)
	if _, err := c.reader.ReadByte(); err != io.EOF {
		return fmt.Errorf("not closed after the answer: %v", err)
	}
	c.end()
	c.counts.succeed(latency, length)
	return nil
}

// getAgain sends a request on the client's stream, which it opens first if there is none.
func (c *client) getAgain(request []byte) error {
	if c.stream == nil {
		if err := c.openStream(); err != nil {
			return err
		}
	}
	since := time.Now()
	length, err := c.get(request)
	if err != nil {
		return err
	}
	c.counts.succeed(time.Since(since), length)
	return nil
}

func (c *client) openStream() error {
	opened, err := c.open()
	if err != nil {
		return err
	}
	c.stream = opened
	c.reader.Reset(opened)
	if len(c.connect) == 0 {
		return nil
	}
	_, err = c.send(c.connect)
	return err
}

// end closes the stream in order. As in the load in Node, an error at this point is not a failure: the answer
// has arrived.
func (c *client) end() {
	c.stream.end()
	c.stream = nil
}

func (c *client) abort() {
	if c.stream != nil {
		c.stream.abort()
		c.stream = nil
	}
}

// get sends a request and reads the answer. It returns the length of the answer's body.
func (c *client) get(request []byte) (int, error) {
	length, err := c.send(request)
	if err != nil {
		return 0, err
	}
	if _, err := c.reader.Discard(length); err != nil {
		return 0, fmt.Errorf("closed within the answer: %w", err)
	}
	return length, nil
}

// send sends a request and reads the head of the answer. It returns the length of the answer's body.
func (c *client) send(request []byte) (int, error) {
	if _, err := c.stream.Write(request); err != nil {
		return 0, err
	}
	return readHead(c.reader)
}

// readHead reads the head of an answer. It returns the Content-Length, or 0 if there is none. A status other
// than 200 is an error.
func readHead(reader *bufio.Reader) (int, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, fmt.Errorf("closed before the answer: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return 0, errors.New("the answer is " + strings.TrimSpace(string(line)))
	}
	length := 0
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return 0, fmt.Errorf("closed within the answer's head: %w", err)
		}
		name, value, isField := bytes.Cut(line, []byte(":"))
		if !isField {
			return length, nil
		}
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}
