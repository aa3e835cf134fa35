package filters

import "sekimori/internal/mail"

var spfSpec = Spec{Name: "spf", Stages: []mail.Stage{mail.Mail}}
