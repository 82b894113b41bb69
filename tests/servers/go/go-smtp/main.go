// Command go-smtp is a mail server made of github.com/emersion/go-smtp, as its documentation shows it, that keeps the mails of a list's
// readers in the folder $store.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-smtp"
)

var count atomic.Int64

type backend struct{}

func (backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{}, nil }

type session struct{ from, to string }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.Contains(to, "-450@"):
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "mailbox is full for now"}
	case strings.Contains(to, "-550@"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.to = to
	return nil
}

func (s *session) Data(text io.Reader) error {
	file, err := os.Create(fmt.Sprintf("%s/%d", os.Getenv("store"), count.Add(1)))
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Fprintf(file, "Return-Path: <%s>\nDelivered-To: %s\n", s.from, s.to)
	_, err = io.Copy(file, text)
	return err
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

func main() {
	server := smtp.NewServer(backend{})
	server.Addr = "127.0.0.1:" + os.Getenv("port")
	server.Domain = "mx.verdicts.example"
	log.Print("listening")
	log.Fatal(server.ListenAndServe())
}
