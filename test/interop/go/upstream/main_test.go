// Package tests takes the place of the main_test.go of Konnectivity's own tests, so that they run against
// programs instead of code in their process:
//
//	go test ./tests -args [-server-path PROGRAM] [-agent-path PROGRAM]
//
// A path that is not given stands for Konnectivity's own code.
package tests

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	serveropts "sigs.k8s.io/apiserver-network-proxy/cmd/server/app/options"
	clientmetrics "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client/metrics"
	servermetrics "sigs.k8s.io/apiserver-network-proxy/pkg/server/metrics"
	testmetrics "sigs.k8s.io/apiserver-network-proxy/pkg/testing/metrics"
	"sigs.k8s.io/apiserver-network-proxy/tests/framework"
)

var (
	serverPath = flag.String("server-path", "", "server program")
	agentPath  = flag.String("agent-path", "", "agent program")
)

// Framework is what the tests start servers and agents with.
var Framework = framework.Framework{
	ProxyServerRunner: &framework.InProcessProxyServerRunner{},
	AgentRunner:       &framework.InProcessAgentRunner{},
}

func TestMain(m *testing.M) {
	klogFlags := flag.NewFlagSet("klog", flag.PanicOnError)
	klog.InitFlags(klogFlags)
	klogFlags.Set("v", "1")
	clientmetrics.Metrics.RegisterMetrics(prometheus.DefaultRegisterer)
	flag.Parse()
	if *serverPath != "" {
		Framework.ProxyServerRunner = serverProgram{*serverPath}
	}
	if *agentPath != "" {
		Framework.AgentRunner = &framework.ExternalAgentRunner{ExecutablePath: *agentPath}
	}
	if err := framework.InitCertsDir(); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	os.RemoveAll(framework.CertsDir)
	os.Exit(code)
}

// serverProgram starts a server as a process, with every flag of Konnectivity's given.
type serverProgram struct{ path string }

func (program serverProgram) Start(t testing.TB, opts framework.ProxyServerOpts) (framework.ProxyServer, error) {
	o := serveropts.NewProxyRunOptions()
	o.ServerCount = opts.ServerCount
	o.Mode = opts.Mode
	directory, err := os.MkdirTemp("", "fairlead-")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	o.UdsName = filepath.Join(directory, "front-end.sock")
	o.ServerPort = 0
	o.ClusterCert = filepath.Join(framework.CertsDir, framework.TestServerCertFile)
	o.ClusterKey = filepath.Join(framework.CertsDir, framework.TestServerKeyFile)
	o.ClusterCaCert = filepath.Join(framework.CertsDir, framework.TestCAFile)
	const loopback = "127.0.0.1"
	o.AgentBindAddress, o.HealthBindAddress, o.AdminBindAddress = loopback, loopback, loopback
	ports, err := framework.FreePorts(3)
	if err != nil {
		return nil, err
	}
	o.AgentPort, o.HealthPort, o.AdminPort = ports[0], ports[1], ports[2]
	if opts.AgentPort != 0 {
		o.AgentPort = opts.AgentPort
	}

	// The one flag that is not Konnectivity's: its server calls itself ready with its first agent.
	args := []string{"--agents-settle-time=0s"}
	o.Flags().VisitAll(func(f *pflag.Flag) {
		// How pflag shows an empty list, which it does not read back as one.
		if f.Value.String() != "[]" {
			args = append(args, fmt.Sprintf("--%s=%s", f.Name, f.Value))
		}
	})
	process := exec.Command(program.path, args...)
	process.Stdout, process.Stderr = os.Stderr, os.Stderr
	if err := process.Start(); err != nil {
		return nil, err
	}
	server := &serverProcess{
		process: process,
		health:  net.JoinHostPort(loopback, strconv.Itoa(o.HealthPort)),
		agent:   net.JoinHostPort(loopback, strconv.Itoa(o.AgentPort)),
		front:   o.UdsName,
	}
	t.Cleanup(server.Stop)
	for deadline := time.Now().Add(framework.ForeverTestTimeout); !server.answers("healthz"); {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s did not come up", program.path)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return server, nil
}

type serverProcess struct {
	process              *exec.Cmd
	health, agent, front string
	stopOnce             sync.Once
}

func (s *serverProcess) answers(path string) bool {
	response, err := http.Get(fmt.Sprintf("http://%s/%s", s.health, path))
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *serverProcess) AgentAddr() string { return s.agent }
func (s *serverProcess) FrontAddr() string { return s.front }
func (s *serverProcess) Ready() bool       { return s.answers("readyz") }

// Stop ends the process and waits for it, since its ports are used again.
func (s *serverProcess) Stop() {
	s.stopOnce.Do(func() {
		s.process.Process.Kill()
		s.process.Wait()
	})
}

func (s *serverProcess) metricsURL() string { return fmt.Sprintf("http://%s/metrics", s.health) }

func (s *serverProcess) Metrics() testmetrics.ServerTester {
	return &testmetrics.Tester{Endpoint: s.metricsURL()}
}

func (s *serverProcess) ConnectedBackends() (int, error) {
	response, err := http.Get(s.metricsURL())
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, err
	}
	name := prometheus.BuildFQName(servermetrics.Namespace, servermetrics.Subsystem, "ready_backend_connections")
	family, found := families[name]
	if !found || len(family.GetMetric()) == 0 {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return int(family.GetMetric()[0].GetGauge().GetValue()), nil
}
