package tests

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The two tests below replace Konnectivity's TestProxyHandle_TunnelContextCancelled_GRPC. That test cancels
// a request and its tunnel through one context and accepts only the error of the request, so it fails when
// the tunnel ends first. Here each has its own context.

// endedRequestServer reports the start of a request, and its end on the target's side.
type endedRequestServer struct {
	received, ended chan struct{}
}

func newEndedRequestServer() *endedRequestServer {
	return &endedRequestServer{received: make(chan struct{}), ended: make(chan struct{})}
}

func (s *endedRequestServer) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	close(s.received)
	<-r.Context().Done()
	close(s.ended)
}

// requestWithCancel sends a request through a tunnel, calls cancel when the target has it, and returns the
// request's error after the target's connection has ended.
func requestWithCancel(t *testing.T, cancel func(cancelTunnel, cancelRequest func())) error {
	expectCleanShutdown(t)
	target := newEndedRequestServer()
	server := httptest.NewServer(target)
	defer server.Close()
	ps := runGRPCProxyServer(t)
	defer ps.Stop()
	a := runAgent(t, ps.AgentAddr())
	defer a.Stop()
	waitForConnectedServerCount(t, 1, a)

	tunnelContext, cancelTunnel := context.WithCancel(context.Background())
	defer cancelTunnel()
	tunnel, err := createSingleUseGrpcTunnel(tunnelContext, ps.FrontAddr())
	if err != nil {
		t.Fatal(err)
	}
	requestContext, cancelRequest := context.WithCancel(context.Background())
	defer cancelRequest()
	request, err := http.NewRequestWithContext(requestContext, "GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-target.received
		cancel(cancelTunnel, cancelRequest)
	}()
	c := &http.Client{Transport: &http.Transport{DialContext: tunnel.DialContext}}
	_, err = c.Do(request)
	select {
	case <-target.ended:
	case <-time.After(time.Minute):
		t.Error("the target's connection did not end")
	}
	return err
}

func TestFairlead_TunnelCanceled(t *testing.T) {
	err := requestWithCancel(t, func(cancelTunnel, _ func()) { cancelTunnel() })
	if err == nil {
		t.Error("the request succeeded on a canceled tunnel")
	}
}

func TestFairlead_RequestCanceled(t *testing.T) {
	err := requestWithCancel(t, func(_, cancelRequest func()) { cancelRequest() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v instead of %v", err, context.Canceled)
	}
}
