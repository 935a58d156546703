// Package tests replaces the main_test.go of Konnectivity's own tests, so that they run against programs
// instead of code in their process:
//
//	go test ./tests -args [-server-path PROGRAM] [-agent-path PROGRAM]
//
// Without a path, the tests use Konnectivity's code in their process.
package tests

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
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
	agentmetrics "sigs.k8s.io/apiserver-network-proxy/pkg/agent/metrics"
	servermetrics "sigs.k8s.io/apiserver-network-proxy/pkg/server/metrics"
	testmetrics "sigs.k8s.io/apiserver-network-proxy/pkg/testing/metrics"
	"sigs.k8s.io/apiserver-network-proxy/tests/framework"
)

var (
	serverPath = flag.String("server-path", "", "server program")
	agentPath  = flag.String("agent-path", "", "agent program")
)

// plainHTTP keeps no connection open, which the tests would treat as a leak.
var plainHTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Framework starts the servers and agents of the tests.
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
		Framework.AgentRunner = &agentProgram{framework.ExternalAgentRunner{ExecutablePath: *agentPath}}
	}
	if err := framework.InitCertsDir(); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	os.RemoveAll(framework.CertsDir)
	os.Exit(code)
}

// serverProgram starts a server as a process with a value for every flag of Konnectivity.
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

	// Konnectivity has no such flag: its server is ready with its first agent.
	args := []string{"--agents-settle-time=0s"}
	o.Flags().VisitAll(func(f *pflag.Flag) {
		// pflag prints an empty list as [], but does not parse that as an empty list.
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
		admin:   net.JoinHostPort(loopback, strconv.Itoa(o.AdminPort)),
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
	process                     *exec.Cmd
	health, admin, agent, front string
	stopOnce                    sync.Once
}

func (s *serverProcess) answers(path string) bool {
	response, err := plainHTTP.Get(fmt.Sprintf("http://%s/%s", s.health, path))
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *serverProcess) AgentAddr() string { return s.agent }
func (s *serverProcess) FrontAddr() string { return s.front }
func (s *serverProcess) Ready() bool       { return s.answers("readyz") }

// Stop ends the process and waits for it, since its ports are reused.
func (s *serverProcess) Stop() {
	s.stopOnce.Do(func() {
		s.process.Process.Kill()
		s.process.Wait()
	})
}

func (s *serverProcess) Metrics() testmetrics.ServerTester {
	return metricValues{fmt.Sprintf("http://%s/metrics", s.health)}
}

// ConnectedBackends counts agents by ID, as Konnectivity does.
func (s *serverProcess) ConnectedBackends() (int, error) {
	response, err := plainHTTP.Get(fmt.Sprintf("http://%s/api/v1/status", s.admin))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var status struct {
		Agents []struct {
			AgentID string `json:"agentId"`
		} `json:"agents"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return 0, err
	}
	ids := map[string]bool{}
	for _, agent := range status.Agents {
		ids[agent.AgentID] = true
	}
	return len(ids), nil
}

// agentProgram starts an agent as Konnectivity's framework does, and compares its metrics by value.
type agentProgram struct{ framework.ExternalAgentRunner }

func (program *agentProgram) Start(t testing.TB, opts framework.AgentOpts) (framework.Agent, error) {
	agent, err := program.ExternalAgentRunner.Start(t, opts)
	if err != nil {
		return nil, err
	}
	tester, ok := agent.Metrics().(*testmetrics.Tester)
	if !ok {
		return nil, fmt.Errorf("the framework has changed: metrics are a %T", agent.Metrics())
	}
	return agentProcess{agent, metricValues{tester.Endpoint}}, nil
}

type agentProcess struct {
	framework.Agent
	metrics metricValues
}

func (a agentProcess) Metrics() testmetrics.AgentTester { return a.metrics }

// metricValues compares metrics by name, label and value. Konnectivity's tester also compares the help
// texts, which differ between the programs.
type metricValues struct{ url string }

var (
	_ testmetrics.ServerTester = metricValues{}
	_ testmetrics.AgentTester  = metricValues{}
)

func (m metricValues) expect(subsystem, name string, expected map[string]int) error {
	response, err := plainHTTP.Get(m.url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return err
	}
	fullName := prometheus.BuildFQName(servermetrics.Namespace, subsystem, name)
	family, found := families[fullName]
	if !found {
		return fmt.Errorf("no metric %s", fullName)
	}
	got := map[string]int{}
	for _, metric := range family.GetMetric() {
		label := ""
		for _, pair := range metric.GetLabel() {
			label = pair.GetValue()
		}
		got[label] = int(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
	}
	if !maps.Equal(got, expected) {
		return fmt.Errorf("%s is %v, not %v", fullName, got, expected)
	}
	return nil
}

func labelled[Reason ~string](values map[Reason]int) map[string]int {
	named := map[string]int{}
	for reason, count := range values {
		named[string(reason)] = count
	}
	return named
}

func (m metricValues) ExpectServerDialFailures(expected map[servermetrics.DialFailureReason]int) error {
	return m.expect(servermetrics.Subsystem, "dial_failure_count", labelled(expected))
}

func (m metricValues) ExpectServerDialFailure(reason servermetrics.DialFailureReason, count int) error {
	return m.ExpectServerDialFailures(map[servermetrics.DialFailureReason]int{reason: count})
}

func (m metricValues) ExpectServerPendingDials(count int) error {
	return m.expect(servermetrics.Subsystem, "pending_backend_dials", map[string]int{"": count})
}

func (m metricValues) ExpectServerReadyBackends(count int) error {
	return m.expect(servermetrics.Subsystem, "ready_backend_connections", map[string]int{"": count})
}

func (m metricValues) ExpectServerEstablishedConns(count int) error {
	return m.expect(servermetrics.Subsystem, "established_connections", map[string]int{"": count})
}

func (m metricValues) ExpectAgentDialFailures(expected map[agentmetrics.DialFailureReason]int) error {
	return m.expect(agentmetrics.Subsystem, "endpoint_dial_failure_total", labelled(expected))
}

func (m metricValues) ExpectAgentDialFailure(reason agentmetrics.DialFailureReason, count int) error {
	return m.ExpectAgentDialFailures(map[agentmetrics.DialFailureReason]int{reason: count})
}

func (m metricValues) ExpectAgentEndpointConnections(count int) error {
	return m.expect(agentmetrics.Subsystem, "open_endpoint_connections", map[string]int{"": count})
}
