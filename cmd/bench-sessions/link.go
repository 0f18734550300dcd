package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
)

// A meter counts what goes over the wire.
type meter struct{ sent, received atomic.Int64 }

// dial connects to addr; what the connection carries is counted.
func (m *meter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &metered{c, m}, nil
}

type metered struct {
	net.Conn
	meter *meter
}

func (c *metered) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.meter.received.Add(int64(n))
	return n, err
}

func (c *metered) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.meter.sent.Add(int64(n))
	return n, err
}

// A link is one kept-alive connection that speaks HTTP/1.1. It has no goroutine of its own and
// no pool: sixteen thousand of net/http's clients, on the cores of what is measured, would
// measure themselves.
type link struct {
	meter *meter
	addr  string
	conn  net.Conn
	read  *bufio.Reader
}

// maxReply bounds an answer; those that are asked for here have some KiB.
const maxReply = 1 << 20

func dialLink(ctx context.Context, m *meter, addr string) (*link, error) {
	l := &link{meter: m, addr: addr}
	return l, l.dial(ctx)
}

func (l *link) dial(ctx context.Context) (err error) {
	if l.conn, err = l.meter.dial(ctx, "tcp", l.addr); err == nil {
		l.read = bufio.NewReader(l.conn)
	}
	return err
}

// do asks once, until the deadline of ctx. A status of 400 or more is an error. A server may
// close a connection that was idle for some seconds, and whoever has it dials again.
func (l *link) do(ctx context.Context, method, path string, header http.Header, body []byte) (http.Header, []byte, error) {
	req, err := http.NewRequest(method, "http://"+l.addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	resp, err := l.exchange(ctx, req)
	if closed(err) {
		l.conn.Close()
		if err := l.dial(ctx); err != nil {
			return nil, nil, err
		}
		req.Body, _ = req.GetBody()
		resp, err = l.exchange(ctx, req)
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err == nil && resp.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: status %d", method, path, resp.StatusCode)
	}
	return resp.Header, b, err
}

func (l *link) exchange(ctx context.Context, req *http.Request) (*http.Response, error) {
	if at, ok := ctx.Deadline(); ok {
		l.conn.SetDeadline(at)
	}
	if err := req.Write(l.conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(l.read, req)
}

// closed says whether a connection ended before there was an answer on it.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (l *link) close() error {
	if l == nil || l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// kind is an error without what differs from one session to the next, so that kinds can be counted.
func kind(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Timeout() {
			return op.Op + ": timed out"
		}
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	return err.Error()
}
