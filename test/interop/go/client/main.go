// A client of a Konnectivity server's gRPC front end. It uses the real konnectivity-client, as
// kube-apiserver does, and writes one line of JSON to stderr for each result.
//
//	client -front unix:PATH|HOST:PORT [-ca-pem PEM -cert-pem PEM -key-pem PEM] -target HOST:PORT OPERATION
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client"
	proto "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/proto/client"
)

var (
	front    = flag.String("front", "", "unix:PATH or HOST:PORT")
	caPEM    = flag.String("ca-pem", "", "CA certificate; without it there is no TLS")
	certPEM  = flag.String("cert-pem", "", "client certificate")
	keyPEM   = flag.String("key-pem", "", "key of the client certificate")
	target   = flag.String("target", "", "HOST:PORT")
	bytesFl  = flag.Int("bytes", 1<<20, "bytes in each echo")
	parallel = flag.Int("parallel", 1, "connections at once")
	timeout  = flag.Duration("timeout", 30*time.Second, "timeout of a dial")
)

type result struct {
	OK         bool   `json:"ok"`
	Event      string `json:"msg"`
	Count      int    `json:"count,omitempty"`
	Error      string `json:"error,omitempty"`
	DurationMs int64  `json:"durationMs"`
}

func main() {
	flag.Parse()
	operations := map[string]func() error{
		"echo":      echoAll,
		"dial":      dialOnly,
		"abandon":   abandon,
		"keep-open": keepOpen,
		"reuse":     reuse,
		"read":      readToEnd,
	}
	operation, known := operations[flag.Arg(0)]
	if !known {
		fmt.Fprintf(os.Stderr, "unknown operation %q\n", flag.Arg(0))
		os.Exit(2)
	}
	started := time.Now()
	err := operation()
	report("done", err, *parallel, started)
	if err != nil {
		os.Exit(1)
	}
}

func report(event string, err error, count int, started time.Time) {
	line := result{OK: err == nil, Event: event, Count: count, DurationMs: time.Since(started).Milliseconds()}
	if err != nil {
		line.Error = err.Error()
	}
	json.NewEncoder(os.Stderr).Encode(line)
}

func options() ([]grpc.DialOption, error) {
	if *caPEM == "" {
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(*caPEM)) {
		return nil, fmt.Errorf("no certificate in -ca-pem")
	}
	pair, err := tls.X509KeyPair([]byte(*certPEM), []byte(*keyPEM))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost"}
	return []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}, nil
}

// dial makes a connection to the target on a new tunnel.
func dial() (net.Conn, client.Tunnel, error) {
	opts, err := options()
	if err != nil {
		return nil, nil, err
	}
	tunnel, err := client.CreateSingleUseGrpcTunnelWithContext(
		context.Background(), context.Background(), *front, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("tunnel: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	conn, err := tunnel.DialContext(ctx, "tcp", *target)
	return conn, tunnel, err
}

func dialOnly() error {
	conn, tunnel, err := dial()
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	<-tunnel.Done()
	return nil
}

// echo sends random bytes and compares the echo.
func echo(conn net.Conn) error {
	sent, received := sha256.New(), sha256.New()
	sendError := make(chan error, 1)
	go func() {
		chunk := make([]byte, 32*1024)
		for left := *bytesFl; left > 0; left -= len(chunk) {
			if left < len(chunk) {
				chunk = chunk[:left]
			}
			rand.Read(chunk)
			sent.Write(chunk)
			if _, err := conn.Write(chunk); err != nil {
				sendError <- err
				return
			}
		}
		sendError <- nil
	}()
	got, err := io.CopyN(received, conn, int64(*bytesFl))
	if err != nil {
		return fmt.Errorf("read after %d bytes: %w", got, err)
	}
	if err := <-sendError; err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		return fmt.Errorf("the echo differs")
	}
	return nil
}

func echoAll() error {
	errs := make(chan error, *parallel)
	var group sync.WaitGroup
	for range *parallel {
		group.Add(1)
		go func() {
			defer group.Done()
			conn, _, err := dial()
			if err == nil {
				err = echo(conn)
				if closeError := conn.Close(); err == nil && closeError != nil {
					err = fmt.Errorf("close: %w", closeError)
				}
			}
			errs <- err
		}()
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// abandon opens a connection, uses it, and exits without closing it.
func abandon() error {
	started := time.Now()
	conn, _, err := dial()
	if err != nil {
		return err
	}
	if err := echo(conn); err != nil {
		return err
	}
	report("open", nil, 1, started)
	os.Exit(0)
	return nil
}

// keepOpen opens a connection, and uses it again after a line on stdin.
func keepOpen() error {
	started := time.Now()
	conn, _, err := dial()
	if err != nil {
		return err
	}
	if err := echo(conn); err != nil {
		return err
	}
	report("open", nil, 1, started)
	bufio.NewReader(os.Stdin).ReadString('\n')
	if err := echo(conn); err != nil {
		return err
	}
	return conn.Close()
}

// readToEnd reads until the target ends and reports the number of bytes.
func readToEnd() error {
	started := time.Now()
	conn, _, err := dial()
	if err != nil {
		return err
	}
	got, err := io.Copy(io.Discard, conn)
	report("read", err, int(got), started)
	conn.Close()
	return err
}

// reuse makes many connections, each with its own call on one gRPC connection.
func reuse() error {
	opts, err := options()
	if err != nil {
		return err
	}
	channel, err := grpc.Dial(*front, opts...)
	if err != nil {
		return err
	}
	defer channel.Close()
	service := proto.NewProxyServiceClient(channel)
	var group sync.WaitGroup
	indexes := make(chan int)
	errs := make(chan error, *parallel)
	for range 20 {
		group.Add(1)
		go func() {
			defer group.Done()
			for index := range indexes {
				if err := once(service, int64(index+1)); err != nil {
					errs <- fmt.Errorf("connection %d: %w", index, err)
				}
			}
		}()
	}
	for index := range *parallel {
		indexes <- index
	}
	close(indexes)
	group.Wait()
	close(errs)
	return <-errs
}

func once(service proto.ProxyServiceClient, random int64) error {
	// The real client also cancels at the end, so the server sees a reset.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := service.Proxy(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&proto.Packet{Type: proto.PacketType_DIAL_REQ, Payload: &proto.Packet_DialRequest{
		DialRequest: &proto.DialRequest{Protocol: "tcp", Address: *target, Random: random}}}); err != nil {
		return err
	}
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	if text := response.GetDialResponse().GetError(); text != "" {
		return fmt.Errorf("dial: %s", text)
	}
	if response.GetDialResponse().GetRandom() != random {
		return fmt.Errorf("a DIAL_RSP for another dial")
	}
	id := response.GetDialResponse().GetConnectID()
	message := []byte("ping")
	if err := stream.Send(&proto.Packet{Type: proto.PacketType_DATA, Payload: &proto.Packet_Data{
		Data: &proto.Data{ConnectID: id, Data: message}}}); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	if !bytes.Equal(answer.GetData().GetData(), message) {
		return fmt.Errorf("the echo differs: %v", answer)
	}
	return stream.Send(&proto.Packet{Type: proto.PacketType_CLOSE_REQ, Payload: &proto.Packet_CloseRequest{
		CloseRequest: &proto.CloseRequest{ConnectID: id}}})
}
