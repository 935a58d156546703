package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	konnectivity "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client"
	proto "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/proto/client"
)

// route is the part of Route (packages/client/src/route.ts) that this program supports.
type route struct {
	By      string
	Address address
	Target  address
}

type address struct {
	Host string
	Port int
	// Path is of a Unix domain socket, which has no host and port.
	Path string
}

func (a address) authority() string {
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

type stream interface {
	io.ReadWriter
	// end closes the stream in order, and returns when the peer has closed it too.
	end()
	// abort closes the stream at once.
	abort()
}

// opener returns a function that opens a stream of the order's route.
func opener(wanted order) (func() (stream, error), error) {
	by, front, target := wanted.Route.By, wanted.Route.Address, wanted.Route.Target.authority()
	switch {
	case by == "forward" || by == "connect":
		return socketOpener(front), nil
	case by == "grpc" && front.Path != "" && wanted.SharesConnection:
		return sharedOpener(front.Path, target)
	case by == "grpc" && front.Path != "":
		return func() (stream, error) { return openSingleUse(front.Path, target) }, nil
	}
	return nil, fmt.Errorf("fairlead-load: route by %s: not supported", by)
}

// connectRequest returns the CONNECT that starts each stream; nil if the route needs none.
func connectRequest(wanted route) []byte {
	if wanted.By != "connect" {
		return nil
	}
	target := wanted.Target.authority()
	return fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
}

// socketStream has a connection of its own.
type socketStream struct{ halfCloser }

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

func socketOpener(front address) func() (stream, error) {
	network, name := "tcp", front.authority()
	if front.Path != "" {
		network, name = "unix", front.Path
	}
	return func() (stream, error) {
		conn, err := net.Dial(network, name)
		if err != nil {
			return nil, err
		}
		return socketStream{conn.(halfCloser)}, nil
	}
}

func (s socketStream) end() {
	s.CloseWrite()
	io.Copy(io.Discard, s)
	s.Close()
}

func (s socketStream) abort() { s.Close() }

// singleUse is a stream of the konnectivity-client. Each has a gRPC connection of its own.
type singleUse struct{ net.Conn }

// openSingleUse dials as kube-apiserver does (egress_selector.go of k8s.io/apiserver).
func openSingleUse(path, target string) (stream, error) {
	ctx := context.Background()
	tunnel, err := konnectivity.CreateSingleUseGrpcTunnelWithContext(ctx, ctx, path,
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.Dial("unix", path)
		}),
		grpc.WithBlock(),
		grpc.WithReturnConnectionError(),
		grpc.WithTimeout(30*time.Second),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("tunnel: %w", err)
	}
	conn, err := tunnel.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return singleUse{conn}, nil
}

func (s singleUse) end() { s.Close() }

// abort does not wait for the answer to CLOSE_REQ.
func (s singleUse) abort() { go s.Close() }

// sharedStream is a gRPC call on a connection that all streams share.
type sharedStream struct {
	call    proto.ProxyService_ProxyClient
	cancel  context.CancelFunc
	id      int64
	unread  []byte
	isEnded bool
}

func sharedOpener(path, target string) (func() (stream, error), error) {
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	service := proto.NewProxyServiceClient(conn)
	return func() (stream, error) {
		ctx, cancel := context.WithCancel(context.Background())
		call, err := service.Proxy(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		id, err := dial(call, target)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("dial: %w", err)
		}
		return &sharedStream{call: call, cancel: cancel, id: id}, nil
	}, nil
}

// dial returns the connection's ID.
func dial(call proto.ProxyService_ProxyClient, target string) (int64, error) {
	random := rand.Int63()
	err := call.Send(&proto.Packet{
		Type: proto.PacketType_DIAL_REQ,
		Payload: &proto.Packet_DialRequest{DialRequest: &proto.DialRequest{
			Protocol: "tcp", Address: target, Random: random,
		}},
	})
	if err != nil {
		return 0, err
	}
	packet, err := call.Recv()
	if err != nil {
		return 0, err
	}
	answer := packet.GetDialResponse()
	if answer.GetError() != "" {
		return 0, errors.New(answer.GetError())
	}
	if answer.GetRandom() != random {
		return 0, fmt.Errorf("the answer is %v", packet)
	}
	return answer.GetConnectID(), nil
}

func (s *sharedStream) Write(data []byte) (int, error) {
	err := s.call.Send(&proto.Packet{
		Type:    proto.PacketType_DATA,
		Payload: &proto.Packet_Data{Data: &proto.Data{ConnectID: s.id, Data: data}},
	})
	return len(data), err
}

// Read returns io.EOF after CLOSE_RSP.
func (s *sharedStream) Read(into []byte) (int, error) {
	for len(s.unread) == 0 {
		packet, err := s.call.Recv()
		if err != nil {
			return 0, err
		}
		switch packet.Type {
		case proto.PacketType_DATA:
			s.unread = packet.GetData().GetData()
		case proto.PacketType_CLOSE_RSP:
			s.isEnded = true
			return 0, io.EOF
		}
	}
	count := copy(into, s.unread)
	s.unread = s.unread[count:]
	return count, nil
}

func (s *sharedStream) end() {
	defer s.cancel()
	if !s.isEnded {
		s.call.Send(&proto.Packet{
			Type:    proto.PacketType_CLOSE_REQ,
			Payload: &proto.Packet_CloseRequest{CloseRequest: &proto.CloseRequest{ConnectID: s.id}},
		})
		io.Copy(io.Discard, s)
	}
	s.call.CloseSend()
	s.call.Recv()
}

func (s *sharedStream) abort() { s.cancel() }
