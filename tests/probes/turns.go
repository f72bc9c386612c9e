// What the runtime of Go asks of a kernel: its own use of signals to make goroutines take turns, timers, a network poller,
// processes, memory given back.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func main() {
	// A loop that never calls anything only stops because the runtime sends its thread SIGURG.
	runtime.GOMAXPROCS(1)
	go func() {
		for {
		}
	}()
	time.Sleep(20 * time.Millisecond)
	runtime.GOMAXPROCS(4)

	var group sync.WaitGroup
	sums := make(chan int, 200)
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			kept := make([]byte, 1<<16)
			kept[n] = 1
			runtime.Gosched()
			sums <- int(kept[n])
		}(i)
	}
	group.Wait()
	debug.FreeOSMemory()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	<-signals

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		conn, err := listener.Accept()
		check(err)
		conn.Write([]byte("hi"))
		conn.Close()
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	check(err)
	check(conn.SetDeadline(time.Now().Add(time.Minute)))
	buffer := make([]byte, 2)
	_, err = conn.Read(buffer)
	check(err)

	check(exec.Command("/bin/true").Run())
	fmt.Println("go works", len(sums), string(buffer))
}
