#!/usr/bin/env python3
"""Writes the mails of this folder and expected.tsv: shapes of mail programs, languages, and what was said.

Run it after a change here (python3 tests/answers/make.py) and look at the difference. People and hosts are invented.
Columns of expected.tsv: file, what was said (leave, yes, no), class, why.
"""
import base64
import glob
import html
import os
import quopri

HERE = os.path.dirname(os.path.abspath(__file__))
DIGEST = "Quillwork or Marrow? And 4 more verdicts"
ASKED = "Please confirm: Weekly AI Tool Verdicts"
NEWS = "Ship or Skip <news@verdicts.example>"
QUOTED = {
    DIGEST: """WEEKLY AI TOOL VERDICTS
Quillwork or Marrow?

Quillwork (7B): SHIP 3 to 2
Skeptic: "an automatically generated reply to every mail, and no way to unsubscribe me from its alerts"

You get this mail because you signed up.

Unsubscribe:
https://verdicts.example/unsubscribe/abc""",
    ASKED: """CONFIRM YOUR SUBSCRIPTION

Somebody, hopefully you, entered this address. Please confirm that it was you:

https://verdicts.example/confirm/abc

Or answer this mail with the word yes. If it wasn't you, do nothing.""",
}
# Language: From, Sent, To, Subject as Outlook writes them; attribution; a telephone's line; greeting; closing; leave; yes; reply mark.
LANGUAGES = {
    "en": ("From", "Sent", "To", "Subject", "On Tue, 24 Nov 2026 at 08:00, {} wrote:", "Sent from my iPhone", "Hello,", "Best wishes,", "Please take me off the list.", "Yes, that was me.", "Re: "),
    "de": ("Von", "Gesendet", "An", "Betreff", "Am Di., 24. Nov. 2026 um 08:00 Uhr schrieb {}:", "Von meinem iPhone gesendet", "Guten Tag,", "Viele Grüße", "Bitte nehmen Sie mich aus dem Verteiler.", "Ja, das war ich.", "AW: "),
    "fr": ("De", "Envoyé", "À", "Objet", "Le mar. 24 nov. 2026 à 08:00, {} a écrit :", "Envoyé de mon iPhone", "Bonjour,", "Cordialement,", "Merci de me désabonner de cette liste.", "Oui, c'est bien moi.", "RE: "),
    "es": ("De", "Enviado", "Para", "Asunto", "El mar, 24 nov 2026 a las 8:00, {} escribió:", "Enviado desde mi iPhone", "Buenos días:", "Un saludo,", "Quiero cancelar mi suscripción.", "Sí, fui yo.", "RE: "),
    "pt": ("De", "Enviado", "Para", "Assunto", "Em ter., 24 de nov. de 2026 às 08:00, {} escreveu:", "Enviado do meu iPhone", "Bom dia,", "Atenciosamente,", "Gostaria de sair da lista.", "Sim, fui eu.", "RES: "),
    "it": ("Da", "Inviato", "A", "Oggetto", "Il giorno mar 24 nov 2026 alle ore 08:00 {} ha scritto:", "Inviato da iPhone", "Buongiorno,", "Cordiali saluti", "Vorrei disiscrivermi dalla newsletter.", "Sì, sono io.", "R: "),
    "nl": ("Van", "Verzonden", "Aan", "Onderwerp", "Op di 24 nov 2026 om 08:00 schreef {}:", "Verstuurd vanaf mijn iPhone", "Beste,", "Met vriendelijke groet,", "Ik wil me afmelden.", "Ja, dat was ik.", "RE: "),
    "pl": ("Od", "Wysłano", "Do", "Temat", "wt., 24 lis 2026 o 08:00 {} napisał(a):", "Wysłane z iPhone'a", "Dzień dobry,", "Pozdrawiam,", "Proszę o wypisanie mnie z listy.", "Tak, to ja.", "Odp: "),
    "ja": ("差出人", "送信日時", "宛先", "件名", "2026年11月24日(火) 8:00 {}:", "iPhoneから送信", "お世話になっております。", "よろしくお願いいたします。", "配信を停止してください。", "はい、私です。", "Re: "),
    "ar": ("من", "تم الإرسال", "إلى", "الموضوع", "في الثلاثاء، ٢٤ نوفمبر ٢٠٢٦ في ٨:٠٠ ص كتب {}:", "أُرسلت من الـ iPhone", "مرحباً،", "مع التحية،", "الرجاء إلغاء اشتراكي", "نعم، أنا", "رد: "),
    "sv": ("Från", "Skickat", "Till", "Ämne", "Den tis 24 nov. 2026 08:00 {} skrev:", "Skickat från min iPhone", "Hej,", "Vänliga hälsningar", "Avregistrera mig", "Ja, det var jag", "SV: "),
    "da": ("Fra", "Sendt", "Til", "Emne", "Den tirs. 24. nov. 2026 kl. 08.00 skrev {}:", "Sendt fra min iPhone", "Hej,", "Med venlig hilsen", "Afmeld mig", "Ja, det var mig", "SV: "),
    "fi": ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe", "ti 24. marrask. 2026 klo 8.00 {} kirjoitti:", "Lähetetty iPhonesta", "Hei,", "Terveisin", "Peru tilaus", "Kyllä", "VS: "),
    "cs": ("Od", "Odesláno", "Komu", "Předmět", "út 24. 11. 2026 v 8:00 odesílatel {} napsal:", "Odesláno z iPhonu", "Dobrý den,", "S pozdravem", "Prosím odhlásit", "Ano", "RE: "),
    "hu": ("Feladó", "Elküldve", "Címzett", "Tárgy", "{} ezt írta (időpont: 2026. nov. 24., K, 8:00):", "Az iPhone-omról küldve", "Jó napot,", "Üdvözlettel", "Leiratkozás", "Igen", "Vá: "),
    "ru": ("От", "Отправлено", "Кому", "Тема", "вт, 24 нояб. 2026 г. в 08:00, {} написал(а):", "Отправлено с iPhone", "Здравствуйте,", "С уважением", "Отпишите меня", "Да", "Отв: "),
    "uk": ("Від", "Надіслано", "Кому", "Тема", "вт, 24 лист. 2026 р. о 08:00 {} пише:", "Надіслано з iPhone", "Добрий день,", "З повагою", "Відписатися", "Так", "Re: "),
    "tr": ("Kimden", "Gönderildi", "Kime", "Konu", "{}, 24 Kas 2026 Sal, 08:00 tarihinde şunu yazdı:", "iPhone'umdan gönderildi", "Merhaba,", "Saygılarımla", "Listeden çıkarın", "Evet", "YNT: "),
    "el": ("Από", "Στάλθηκε", "Προς", "Θέμα", "Στις Τρί 24 Νοε 2026 στις 8:00, ο χρήστης {} έγραψε:", "Στάλθηκε από το iPhone μου", "Γεια σας,", "Με εκτίμηση", "Διαγραφή", "Ναι", "ΑΠ: "),
    "ro": ("De la", "Trimis", "Către", "Subiect", "mar., 24 nov. 2026, 08:00 {} a scris:", "Trimis de pe iPhone", "Bună ziua,", "Cu stimă", "Dezabonare", "Da", "RE: "),
    "bg": ("От", "Изпратено", "До", "Относно", "На вт, 24.11.2026 г. в 8:00 {} написа:", "Изпратено от моя iPhone", "", "", "Отписаться", "Да", "RE: "),
    "hr": ("Od", "Poslano", "Prima", "Predmet", "uto, 24. stu 2026. u 08:00 {} je napisao:", "Poslano s iPhonea", "", "", "Unsubscribe", "Da", "RE: "),
    "sk": ("Od", "Odoslané", "Komu", "Predmet", "ut 24. 11. 2026 o 8:00 {} napísal(a):", "Odoslané z iPhonu", "", "", "Odhlásiť", "Áno", "RE: "),
    "zh": ("发件人", "发送时间", "收件人", "主题", "于2026年11月24日周二 08:00，{} 写道：", "发自我的 iPhone", "您好，", "谢谢", "请取消订阅", "是的", "回复: "),
    "ko": ("보낸 사람", "보낸 날짜", "받는 사람", "제목", "2026년 11월 24일 (화) 오전 8:00, {}님이 작성:", "나의 iPhone에서 보냄", "안녕하세요,", "감사합니다", "구독 취소 부탁드립니다", "네", "Re: "),
    "he": ("מאת", "נשלח", "אל", "נושא", "‫בתאריך יום ג׳, 24 בנוב׳ 2026 ב-8:00 מאת ‪{}‬‏:", "נשלח מה-iPhone שלי", "", "", "Unsubscribe", "כן", "Re: "),
}
PEOPLE = ["Ottoline Farr <ottoline@saltmarsh.example>", "Bram Ketting <bram.ketting@dijkhuis.example>", "Ilse Vonk <ilse@vonk-und-sohn.example>", "Teodor Wilk <t.wilk@wilkowo.example>"]
written = []


def write(name, said, kind, why, text=None, page=None, subject=None, asked=False, person=None, to=NEWS, more="", answers=True, raw=None, encoding=None):
    """One mail: of a text, of a page in HTML, or of both."""
    base = ASKED if asked else DIGEST
    subject = "Re: " + base if subject is None else subject
    person = person or PEOPLE[len(written) % len(PEOPLE)]
    head = f"From: {person}\nTo: {to}\nSubject: {subject}\nDate: Tue, 24 Nov 2026 09:00:00 +0000\nMessage-ID: <{name}@mail.example>\n"
    if answers:
        head += "In-Reply-To: <k3.q7@verdicts.example>\nReferences: <k3.q7@verdicts.example>\n"
    head += more + "MIME-Version: 1.0\n"

    def part(type_, content):
        if encoding == "base64":
            return f"Content-Type: {type_}; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(content.encode()).decode()
        if encoding == "qp":
            return f"Content-Type: {type_}; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(content.encode()).decode() + "\n"
        return f"Content-Type: {type_}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{content}\n"

    if raw is not None:
        mail = head + raw
    elif page is None:
        mail = head + part("text/plain", text)
    elif text is None:
        mail = head + part("text/html", page)
    else:
        mail = head + 'Content-Type: multipart/alternative; boundary="=_alt"\n\n--=_alt\n' + part("text/plain", text) + "\n--=_alt\n" + part("text/html", page) + "\n--=_alt--\n"
    with open(os.path.join(HERE, name + ".eml"), "w", encoding="utf8", newline="\n") as file:
        file.write(mail)
    written.append((name + ".eml", said, kind, why))


def marked(text):
    return "\n".join(("> " + line).rstrip() for line in text.split("\n"))


def fields(lang, base, sep=": ", bold=False):
    f, s, t, b = LANGUAGES[lang][:4]
    rows = [(f, NEWS), (s, "24 November 2026 08:00"), (t, "ottoline@saltmarsh.example"), (b, base)]
    if bold:
        return "<br>".join(f"<b>{k}:</b> {html.escape(v)}" for k, v in rows)
    return "\n".join(k + sep + v for k, v in rows)


def as_html(text):
    return "<br>".join(html.escape(line) for line in text.split("\n"))


# Shapes: a function of the writer's lines, the language and the mail that is answered gives text and page.
def outlook_text(own, lang, base):
    return "\n\n".join(own) + "\n\n" + fields(lang, base) + "\n\n" + QUOTED[base], None


def outlook_word(own, lang, base):
    lines = "".join(f"<p class=MsoNormal><span lang=EN-US>{html.escape(line)}<o:p></o:p></span></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>" for line in own)
    rest = "".join(f"<p class=MsoNormal>{html.escape(line) or '&nbsp;'}<o:p></o:p></p>" for line in QUOTED[base].split("\n"))
    page = (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name=Generator content="Microsoft Word 15 (filtered medium)">'
        "<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]--><style><!-- p.MsoNormal {margin:0cm;} --></style></head>"
        f'<body lang=EN-GB link="#0563C1" vlink="#954F72"><div class=WordSection1>{lines}<div><div style=\'border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm\'>'
        f"<p class=MsoNormal>{fields(lang, base, bold=True)}<o:p></o:p></p></div></div>{rest}</div></body></html>"
    )
    return None, page


def outlook_web(own, lang, base):
    lines = "".join(f'<div class="elementToProof" style="font-size: 12pt;">{html.escape(line)}</div><div><br></div>' for line in own)
    page = (
        '<html><head><style type="text/css" style="display:none;"> P {margin-top:0;} </style></head><body dir="ltr">'
        f'{lines}<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><font face="Calibri">'
        f"{fields(lang, base, bold=True)}</font><div>&nbsp;</div></div><div>{as_html(QUOTED[base])}</div></body></html>"
    )
    return "\n\n".join(own) + "\n________________________________\n" + fields(lang, base) + "\n\n" + QUOTED[base], page


def outlook_mobile(own, lang, base):
    return "\n\n".join(own) + "\n\nGet Outlook for Android<https://aka.ms/x>\n________________________________\n" + fields(lang, base) + "\n\n" + QUOTED[base], None


def gmail(own, lang, base):
    above = LANGUAGES[lang][4].format(NEWS)
    page = "".join(f'<div dir="ltr">{html.escape(line)}</div>' for line in own) + (
        f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{html.escape(above)}<br></div><blockquote class="gmail_quote" style="margin:0px">{as_html(QUOTED[base])}</blockquote></div>'
    )
    return "\n\n".join(own) + "\n\n" + above + "\n\n" + marked(QUOTED[base]), page


def gmail_page(own, lang, base):
    return None, gmail(own, lang, base)[1]


def apple(own, lang, base):
    above = LANGUAGES[lang][4].format(NEWS)
    return "\n\n".join(own) + "\n\n" + LANGUAGES[lang][5] + "\n\n> " + above + "\n> \n" + marked(QUOTED[base]), None


def thunderbird_below(own, lang, base):
    return LANGUAGES[lang][4].format("Ship or Skip") + "\n" + marked(QUOTED[base]) + "\n\n" + "\n\n".join(own), None


def between(own, lang, base):
    first, rest = QUOTED[base].split("\n", 1)
    return LANGUAGES[lang][4].format(NEWS) + "\n" + marked(first) + "\n\n" + "\n".join(own) + "\n\n" + marked(rest), None


def samsung(own, lang, base):
    return "\n\n".join(own) + "\n\n\nSent from my Galaxy\n\n\n-------- Original message --------\n" + fields(lang, base) + " \n\n" + QUOTED[base], None


def yahoo(own, lang, base):
    quoted = "\n".join("  " + line for line in QUOTED[base].split("\n"))
    return "\n\n".join(own) + "\n\n   " + LANGUAGES[lang][4].format("Ship or Skip<news@verdicts.example>") + " \n\n" + quoted, None


def yahoo_page(own, lang, base):
    lines = "".join(f'<div dir="ltr" data-setdir="false">{html.escape(line)}</div>' for line in own)
    page = (
        f'<html><head></head><body><div class="ydp5f3yahoo-style-wrap">{lines}<div><br></div></div><div id="yahoo_quoted_0042" class="yahoo_quoted"><div>'
        f"<div>{html.escape(LANGUAGES[lang][4].format(NEWS))}</div><div><br></div><div>{as_html(QUOTED[base])}</div></div></div></body></html>"
    )
    return None, page


def gmx(own, lang, base):
    lines = "".join(f"<div>{html.escape(line)}</div>\n<div>&nbsp;</div>\n" for line in own)
    f, s, t, b = LANGUAGES[lang][:4]
    page = (
        f'<html><head></head><body><div style="font-family: Verdana;font-size: 12.0px;">{lines}<div><div name="quote" style="margin:10px 5px 5px 10px; padding: 10px 0 10px 10px; border-left:2px solid #C3D9E5;">'
        f'<div style="margin:0 0 10px 0;"><b>{s}:</b>&nbsp;Dienstag, 24. November 2026 um 08:00 Uhr<br/><b>{f}:</b>&nbsp;&quot;Ship or Skip&quot;<br/><b>{t}:</b>&nbsp;ilse@vonk.example<br/><b>{b}:</b>&nbsp;{base}</div>'
        f'<div name="quoted-content">{as_html(QUOTED[base])}</div></div></div></div></body></html>'
    )
    return None, page


def zoho(own, lang, base):
    return "\n".join(own) + "\n\n\n---- On Tue, 24 Nov 2026 08:00:00 +0100 Ship or Skip <news@verdicts.example> wrote ---\n\n" + QUOTED[base], None


def qq(own, lang, base):
    rows = f'发件人: "Ship or Skip" <news@verdicts.example>;\n发送时间: 2026年11月24日(星期二) 下午4:00\n收件人: "li"<li@shui.example>;\n主题: {base}'
    return "\n".join(own) + "\n\n\n\n------------------ 原始邮件 ------------------\n" + rows + "\n\n" + QUOTED[base], None


def notes(own, lang, base):
    return "\n".join(own) + '\n\n\n\nFrom:   "Ship or Skip" <news@verdicts.example>\nTo:     bram.ketting@dijkhuis.example\nDate:   24-11-2026 08:00\nSubject:        ' + base + "\n\n\n" + QUOTED[base], None


def em_client(own, lang, base):
    return "\n".join(own) + f'\n\n------ Original Message ------\nFrom "Ship or Skip" <news@verdicts.example>\nTo ilse@vonk.example\nDate 24.11.2026 08:00:12\nSubject {base}\n\n' + QUOTED[base], None


def k9(own, lang, base):
    return "\n".join(own) + "\n-- \nSent from my Android device with K-9 Mail. Please excuse my brevity.\n\n-------- Original Message --------\n" + fields(lang, base) + "\n\n" + QUOTED[base], None


def proton(own, lang, base):
    page = "".join(f"<div>{html.escape(line)}</div>" for line in own) + (
        '<div class="protonmail_signature_block"><div class="protonmail_signature_block-proton">Sent with <a target="_blank" href="https://proton.example/">Proton Mail</a> secure email.</div></div>'
        f'<div class="protonmail_quote">On Tuesday, 24 November 2026 at 08:00, Ship or Skip wrote:<br><blockquote class="protonmail_quote" type="cite">{as_html(QUOTED[base])}</blockquote></div>'
    )
    return None, page


def mutt(own, lang, base):
    return "On Tue, Nov 24, 2026 at 08:00:00AM +0000, Ship or Skip wrote:\n" + marked(QUOTED[base]) + "\n\n" + "\n".join(own) + "\n\n-- \nO. F.", None


def gnus(own, lang, base):
    return "Ship or Skip <news@verdicts.example> writes:\n\n" + marked(QUOTED[base]) + "\n\n" + "\n".join(own), None


def naver(own, lang, base):
    return "\n".join(own) + f'\n\n-----Original Message-----\nFrom: "Ship or Skip"<news@verdicts.example>\nTo: <kim@mul.example>;\nCc:\nSent: 2026-11-24 (화) 17:00:00 (GMT+09:00)\nSubject: {base}\n\n' + QUOTED[base], None


def mail_ru(own, lang, base):
    lines = "".join(f"<div>{html.escape(line)}</div>" for line in own)
    page = f'<HTML><BODY>{lines}<div> </div><blockquote style="border-left:1px solid #0857A6; margin:10px; padding:0 0 0 10px;">Вторник, 24 ноября 2026, 8:00 +03:00 от Ship or Skip &lt;news@verdicts.example&gt;:<br>&nbsp;<div>{as_html(QUOTED[base])}</div></blockquote></BODY></HTML>'
    return None, page


SHAPES = {
    "outlook-text": (outlook_text, list(LANGUAGES)),
    "outlook-word": (outlook_word, ["en", "de", "fr", "es", "pt", "it", "nl", "pl", "ja", "ar"]),
    "outlook-web": (outlook_web, ["en", "de", "fr", "ja"]),
    "outlook-mobile": (outlook_mobile, ["en", "pt", "pl", "ar"]),
    "gmail": (gmail, list(LANGUAGES)),
    "gmail-page": (gmail_page, ["en", "es", "ja"]),
    "apple": (apple, ["en", "de", "fr", "es", "pt", "it", "nl", "pl", "ja", "ar"]),
    "below": (thunderbird_below, ["en", "de", "fr", "pl"]),
    "between": (between, ["en", "it"]),
    "samsung": (samsung, ["en", "es", "it", "nl"]),
    "yahoo": (yahoo, ["en", "fr"]),
    "yahoo-page": (yahoo_page, ["en", "es"]),
    "gmx": (gmx, ["de"]),
    "zoho": (zoho, ["en"]),
    "qq": (qq, ["zh"]),
    "notes": (notes, ["en", "nl"]),
    "em-client": (em_client, ["en", "de"]),
    "k9": (k9, ["en", "sv"]),
    "proton": (proton, ["en"]),
    "mutt": (mutt, ["en"]),
    "gnus": (gnus, ["en"]),
    "naver": (naver, ["ko"]),
    "mail-ru": (mail_ru, ["ru"]),
}


def shapes():
    number = 0
    for name, (shape, languages) in SHAPES.items():
        for lang in languages:
            words = LANGUAGES[lang]
            # Both of the ten languages of the product, else by turns; with greeting and signature every other time.
            sides = ["leave", "yes"] if lang in ("en", "de", "fr", "es", "pt", "it", "nl", "pl", "ja", "ar") else [["leave", "yes"][number % 2]]
            for side in sides:
                number += 1
                base = ASKED if side == "yes" else DIGEST
                person = PEOPLE[number % len(PEOPLE)]
                own = [words[8] if side == "leave" else words[9]]
                if number % 2 and words[6]:
                    full = person.split(" <")[0]
                    own = [words[6], *own, words[7], full, "Saltmarsh Studio Ltd", "Tel. +44 1632 960 012"]
                text, page = shape(own, lang, base)
                encoding = [None, "base64", "qp"][number % 3]
                write(f"{name}-{lang}-{side}", side, name, "", text, page, subject=words[10] + base, asked=side == "yes", person=person, encoding=encoding)


def said():
    """Words of leaving and of agreeing, as people vary them."""
    leave = [
        "Unsubscribe", "UNSUBSCRIBE!!!", "unsubscribe pls", "Please remove me from your mailing list.", "I no longer wish to receive these emails.", "Stop sending me this newsletter",
        "I'd like to be removed from this list, please.", "Cancel my subscription please", "please unsubscribe me, thanks", "\u201cUnsubscribe\u201d", "Unsubscribe \U0001f64f", "U\u00adnsub\u200bscribe",
        "Ｕｎｓｕｂｓｃｒｉｂｅ", "Opt out", "Please unsubscribe me. I get too many emails.", "Hi there, please take my address off your list. Cheers", "stop", "Take me off this list",
        "Please\nunsubscribe\nme", "I do not want to receive these mails anymore.", "Unsubscribe me please.\nThank you!",
        "Bitte melden Sie mich ab.", "Ich möchte mich vom Newsletter abmelden", "abbestellen", "Newsletter bitte abbestellen, danke", "Ich möchte keine Mails mehr erhalten.", "Hiermit kündige ich mein Abo.", "Ich melde mich ab",
        "De\u0301sabonnement", "Je souhaite me désinscrire de votre newsletter", "Je ne veux plus recevoir vos mails.", "Désinscrivez-moi svp", "Darme de baja", "Por favor, denme de baja de la lista", "No quiero recibir más correos",
        "Descadastrar", "Por favor, me remova da lista.", "Não quero mais receber e-mails", "Cancellatemi dalla mailing list, grazie", "Non desidero più ricevere la newsletter", "Disiscrizione", "Afmelden aub", "Ik wil geen mails meer ontvangen", "Schrijf mij uit",
        "Rezygnuję z newslettera", "Proszę wypisać mnie z listy", "Nie chcę otrzymywać newslettera", "退会希望", "メルマガの配信停止をお願いします", "登録解除してください", "إلغاء الاشتراك", "أريد إلغاء الاشتراك", "取消订阅", "수신거부",
    ]
    for number, words in enumerate(leave):
        write(f"leave-words-{number:02}", "leave", "words", "", words + "\n\nOn Tue, 24 Nov 2026 at 08:00, Ship or Skip wrote:\n\n" + marked(QUOTED[DIGEST]))
    yes = [
        "Yes", "YES!", "yes please", "Yes, I confirm.", "I confirm my subscription", "Yes, it was me. Thanks!", "Yep", "Ｙｅｓ", "\ufeffYes\u200e", "\u201cyes\u201d", "Yes \U0001f44d", "Hi, yes that was me", "Ja", "Ja, gerne!", "Ja, ich bestätige das.", "Hiermit bestätige ich meine Anmeldung",
        "Oui merci", "Oui, je confirme", "Si\u0301", "Sí, confirmo", "Sim, por favor", "Confirmo", "Sì, grazie", "Sì, confermo l'iscrizione", "Ja graag", "Ja, dat klopt", "Tak, potwierdzam", "Tak", "はい", "はい、お願いします", "نعم", "نعم، أؤكد", "是的", "네",
    ]
    for number, words in enumerate(yes):
        write(f"yes-words-{number:02}", "yes", "words", "", words + "\n\nOn Tue, 24 Nov 2026 at 08:00, Ship or Skip wrote:\n\n" + marked(QUOTED[ASKED]), asked=True)
    more = [
        "Would you kindly take our address off your distribution list.", "I'm no longer interested, please opt me out.", "Bitte streicht mich aus eurer Adressliste, danke!", "Ich bitte um Streichung aus dem Verteiler.", "Pouvez-vous me retirer de votre liste de diffusion", "Les pido que me borren de la base de datos",
        "Peço a remoção do meu e-mail da lista.", "Richiedo la rimozione dalla newsletter.", "Gelieve mijn adres te verwijderen uit de verzendlijst", "Proszę usunąć mój adres z bazy", "今後の配信は不要です。", "أرجو حذف عنواني من القائمة البريدية", "Newsletter bitte abbestellen",
    ]
    for number, words in enumerate(more):
        write(f"leave-request-{number:02}", "leave", "words", "", words + "\n\n" + marked(QUOTED[DIGEST]))
    write("leave-yahoo-one-line", "leave", "yahoo", "the line above the quotation goes on with it", "unsubscribe\n\nSent from Yahoo Mail for iPhone \n \n  On Tuesday, November 24, 2026, 8:00 AM, Ship or Skip <news@verdicts.example> wrote:   " + QUOTED[DIGEST])
    write("leave-gmx-no-colon", "leave", "gmx", "no colon behind the line above the quotation", "Bitte austragen\n\nAm 24.11.26, 08:00 schrieb Ship or Skip\n\n" + QUOTED[DIGEST])
    write("yes-signed-in-line", "yes", "words", "a closing with a name in the same line", "Ja hoor, groetjes Fenna\n\n" + marked(QUOTED[ASKED]), asked=True)
    write("leave-below-banner", "leave", "banner", "a gateway's banner above", "EXTERNAL EMAIL: This message was sent from outside of the company. Do not click links unless you\nrecognise the sender.\n\nPlease unsubscribe me\n\n" + marked(QUOTED[DIGEST]))
    write("leave-banner-page", "leave", "banner", "a banner in a table of its own", page='<table><tr><td bgcolor="#ffeb9c">CAUTION: This email originated from outside your organization.</td></tr></table><p>Please unsubscribe me</p><blockquote type="cite">x</blockquote>')
    write("yes-banner-de", "yes", "banner", "", "Achtung: Diese E-Mail stammt von einem externen Absender.\n\nJa\n\n" + marked(QUOTED[ASKED]), asked=True)
    write("leave-disclaimer", "leave", "disclaimer", "a legal notice below", "Unsubscribe me please\n\nThis e-mail and any files transmitted with it are confidential and intended solely for the use of the\nindividual to whom they are addressed. If you are not the intended recipient, please do not unsubscribe anybody.\n\n" + marked(QUOTED[DIGEST]))
    write("leave-pgp", "leave", "pgp", "signed inline", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nPlease unsubscribe me\n- -- \nOttoline\n-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQ\n-----END PGP SIGNATURE-----")
    write("leave-empty-text", "leave", "parts", "HTML with an empty text part", " \n", "<div>Unsubscribe</div>")
    write("leave-picture", "leave", "parts", "a picture beside the text", raw='Content-Type: multipart/related; boundary="=_rel"\n\n--=_rel\nContent-Type: text/html; charset=utf-8\n\n<div>Please unsubscribe me<br><img src="cid:logo"></div>\n--=_rel\nContent-Type: image/png\nContent-ID: <logo>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--=_rel--\n')
    write("leave-subject", "leave", "subject", "the word as the subject", "", subject="unsubscribe", answers=False)
    write("leave-subject-re", "leave", "subject", "behind Re:", "\n-- \nIlse", subject="Re: Unsubscribe me")
    write("leave-subject-tag", "leave", "subject", "behind a gateway's tag", "Thanks\n\nOttoline Farr", subject="[EXTERNAL] Unsubscribe", person=PEOPLE[0], answers=False)
    write("leave-subject-de", "leave", "subject", "", "", subject="Abmeldung vom Newsletter", answers=False)
    write("leave-name-is-machine", "leave", "person", "a person who is called like a machine", "Please unsubscribe me\n\n" + marked(QUOTED[DIGEST]), person="Bounce Park <bounce.park@saltmarsh.example>")
    write("leave-name-administrator", "leave", "person", "a person's office", "Unsubscribe\n\n" + marked(QUOTED[DIGEST]), person="System Administrator <it@saltmarsh.example>")
    write("leave-hidden", "leave", "parts", "text that nobody sees", page='<div style="display:none;max-height:0">Quarterly news: please do not unsubscribe</div><p>Unsubscribe</p>')
    write("leave-other-sentence", "leave", "words", "said of oneself, and a word more", "Please unsubscribe me from this list. I am moving into pottery full time and will read less.\n\nOttoline", person=PEOPLE[0])
    write("yes-name-above-attribution", "yes", "words", "a name above the attribution", "Yes\n\nOttoline\n\nOn 24/11/2026 08:00, Ship or Skip wrote:\n" + marked(QUOTED[ASKED]), asked=True, person=PEOPLE[0])
    write("yes-external-tag", "yes", "subject", "a gateway's tag before the subject", "Yes\n\n" + marked(QUOTED[ASKED]), asked=True, subject="[EXT] Re: " + ASKED)


def not_said():
    quoted = "\n\nOn Tue, 24 Nov 2026 at 08:00, Ship or Skip wrote:\n\n" + marked(QUOTED[DIGEST])
    harmless = [
        "Please don't unsubscribe me, I like it.", "Did you unsubscribe me?", "How do I unsubscribe?", "Why was I unsubscribed", "Unsubscribe rates: may I quote you", "I would never unsubscribe from this.", "Please unsubscribe max@saltmarsh.example, he left us.",
        "Please unsubscribe my colleague.", "He asked me: unsubscribe me", "Stop the press! Marrow is great.", "Don't stop sending these!", "I almost unsubscribed last week", "The unsubscribe link is broken for Bram", "Leave it as it is, lovely issue.", "My boss wants to unsubscribe. I do not.",
        "Remove me? No, never.", "If you write about crypto again, unsubscribe me.", "Unsubscribe me when you stop being useful", "Please stop using tables", "I am on leave until Monday", "Unsubscribe is a funny word", "Take me off guard again with such a comparison!", "Cancel culture has come for Marrow",
        "Unsubscribe\nis what I would do if it were not for the Skeptic.", "Please unsubscribe me\n\nOnly joking, keep it coming", "Unsubscribe me. That is what my inbox said. I said no.", "Not interested in Marrow, but the rest is good.", "Opt out of Quillwork's training? How", "Great, thanks", "OK",
        "Bitte nicht abmelden!", "Wie kann ich mich abmelden", "Ich möchte mich nicht abmelden", "Habt ihr mich abgemeldet?", "Melden Sie bitte Herrn Kuhn ab", "Ich werde mich nie abmelden.", "Ne me désabonnez pas !", "Comment se désabonner", "Je ne veux pas me désabonner", "No me den de baja", "¿Cómo me doy de baja?", "No quiero cancelar mi suscripción",
        "Não me remova da lista", "Como faço para descadastrar?", "Non cancellatemi", "Come posso disiscrivermi?", "Niet uitschrijven graag", "Hoe kan ik me afmelden", "Proszę mnie nie wypisywać", "Jak zrezygnować?", "配信停止しないでください", "配信停止はどうすればいいですか", "لا تلغوا اشتراكي", "كيف يمكنني إلغاء الاشتراك؟", "不要退订",
        "Abbestellen kommt nicht in Frage", "Baja el volumen, gran artículo", "Stop", "I want to subscribe my friend Ilse", "Please remove the second chart from the digest", "I removed Quillwork from my list", "They unsubscribed me from their list", "I take your newsletter", "Ho cancellato il mio account di Quillwork", "Cancel my vote",
    ]
    for number, words in enumerate(harmless):
        subject = "Re: " + DIGEST
        if words == "Stop":
            write(f"no-words-{number:02}", "no", "words", "a word with other meanings beside other words", "Stop\n\nThat headline made me laugh." + quoted)
            continue
        write(f"no-words-{number:02}", "no", "words", "", words + quoted, subject=subject)
    asked = "\n\nOn Tue, 24 Nov 2026 at 08:00, Ship or Skip wrote:\n\n" + marked(QUOTED[ASKED])
    doubts = [
        "Yes\n\nbut I did not sign up for this", "OK\nbut I did not sign up for this", "Ja,\ndas war ich nicht.", "Ja\n\nNein, doch nicht", "Yes?", "Yes, who is this?", "No", "Not me", "Yes, I received your mail. I never asked for it.", "Yes - wrong person.", "Nein", "Non", "Oui\nmais ce n'était pas moi", "Sí\nNo fui yo",
        "Sim, mas não fui eu", "Sì\nma non sono stato io", "Ja, maar ik was het niet", "Tak\nto nie ja", "はい\n違います", "نعم\nلست أنا", "Yes\n\nRegards\nOttoline\n\nPS: please do not add me yet", "Yes\n\nSpam Versuch", "Yes, please delete my address", "I confirm that I did not sign up", "Yes yes, very funny", "はい、間違いです", "Yes, it was a mistake", "Ja, aber nicht jetzt", "Sí, pero no ahora", "Confirm", "OK", "Yes\nhttps://saltmarsh.example/x",
    ]
    for number, words in enumerate(doubts):
        write(f"no-yes-{number:02}", "no", "doubt", "not a plain yes", words + asked, asked=True)
    write("no-yes-no-answer", "no", "doubt", "answers nothing", "Yes", subject=ASKED, answers=False, asked=True)
    write("no-address-cc", "no", "address", "an address of others", "Lovely issue." + quoted, more="Cc: annual.leave@saltmarsh.example, unsubscribe@other.example, join.us@saltmarsh.example\n")
    write("no-address-to", "no", "address", "another list's", "Hello", to="unsubscribe@other.example, news@verdicts.example", subject="Hello", answers=False)
    write("no-page-footer", "no", "page", "a link of the company's own", page='<div>Good one!</div><table><tr><td>Ottoline Farr</td></tr><tr><td><a href="https://saltmarsh.example/u">Unsubscribe</a></td></tr></table>')
    write("no-page-footer-alone", "no", "page", "nothing but such a link", page='<p></p><a href="https://saltmarsh.example/u">Unsubscribe</a>')
    write("no-page-cells", "no", "page", "cells are lines", page="<table><tr><td>Unsubscribe</td><td>from the noise, says Marrow's advert. I laughed.</td></tr></table>")
    write("no-subject-question", "no", "subject", "a question", "", subject="Unsubscribe?", answers=False)
    write("no-subject-more", "no", "subject", "says more", "What share leaves in a year?", subject="Unsubscribe rates", answers=False)
    write("no-subject-taken-back", "no", "subject", "the text takes it back", "Sorry, that was my cat. Ignore it.", subject="Unsubscribe", answers=False)
    write("no-forwarded", "no", "subject", "passed on", "FYI", subject="Fwd: unsubscribe", answers=False)


def wordings():
    """The rows of wordings.tsv, in the shapes of mail programs by turns: the first sets, for the tests try all in shapes of their own."""
    names = [name for name in SHAPES if name not in ("naver", "mail-ru")]
    rows = [line.rstrip("\n").split("\t") for line in open(os.path.join(HERE, "wordings.tsv"), encoding="utf8") if not line.startswith("#")]
    rows = [row for row in rows if int(row[0]) <= 8]
    for number, (group, said, answered, lang, words) in enumerate(rows):
        name, base = names[number * 5 % len(names)], ASKED if answered == "asked" else DIGEST
        text, page = SHAPES[name][0](words.split("|"), lang, base)
        encoding = [None, "base64", "qp"][number % 3]
        write(f"wording-{number:03}-{lang}-{said}", said, f"wording-{group}", name, text, page, subject=LANGUAGES[lang][10] + base, asked=answered == "asked", person=PEOPLE[0] if "ottoline@" in words else None, encoding=encoding)


def robots():
    quoted = "\n\nOn Tue, 24 Nov 2026 at 08:00, Ship or Skip wrote:\n\n" + marked(QUOTED[ASKED])
    desk = "Saltmarsh Help <help@saltmarsh.example>"
    cases = [
        ("ticket", "Yes\nYour ticket #4711 was opened." + quoted, dict(asked=True, person=desk)),
        ("ticket-subject", "Yes" + quoted, dict(asked=True, person=desk, subject="[#4711] Re: " + ASKED)),
        ("ticket-signature", "Yes\n\n-- \nThis is an automated reply of our support team." + quoted, dict(asked=True, person=desk)),
        ("ticket-page", None, dict(asked=True, person=desk, page="<p>##- Please type your reply above this line -##</p><p>Yes</p><p>We received your request.</p>")),
        ("ticket-unsubscribe", "Your request (4711) has been received.\n\nUnsubscribe\nfrom these notifications: https://saltmarsh.example/u", dict(person=desk)),
        ("challenge", "Please confirm that you are a person:\nhttps://guard.example/ask?c=1\n\nUnsubscribe", dict(asked=True, subject="Re: " + ASKED, person="Guard <guard@guard.example>")),
        ("challenge-page", None, dict(asked=True, page="<p>Confirm</p><p><a href='https://guard.example'>Yes</a></p>", person="Guard <guard@guard.example>")),
        ("vacation", "Yes\n\nI am out of the office until Monday." + quoted, dict(asked=True)),
        ("vacation-marked", "Unsubscribe", dict(more="Auto-Submitted: auto-replied\n")),
        ("vacation-exchange", "Unsubscribe me", dict(subject="Automatic reply: " + DIGEST, more="X-Auto-Response-Suppress: All\nAuto-Submitted: auto-generated\n")),
        ("vacation-leave", "I am on annual leave. Please stop sending me urgent mails.", dict(subject="Out of office: " + DIGEST)),
        ("moderation", 'Your post awaits moderator approval. Answer "unsubscribe" to leave the list, "yes" to withdraw it.', dict(person="talk-owner@lists.example", subject="Your message to talk awaits moderator approval")),
        ("moderation-list", "Unsubscribe", dict(more="List-Id: <talk.lists.example>\nPrecedence: list\n", person="talk@lists.example")),
        ("calendar", None, dict(subject="Accepted: " + DIGEST, raw="Content-Type: text/calendar; method=REPLY; charset=utf-8\n\nBEGIN:VCALENDAR\nMETHOD:REPLY\nSUMMARY:Unsubscribe\nEND:VCALENDAR\n")),
        ("calendar-text", "Yes\n\nOttoline Farr has accepted this invitation." + quoted, dict(asked=True, subject="Accepted: " + ASKED)),
        ("reaction", "\U0001f44d", dict(raw='Content-Type: multipart/alternative; boundary="=_r"\n\n--=_r\nContent-Type: text/plain; charset=utf-8\n\n👍\n\nOttoline reacted via Gmail\n--=_r\nContent-Type: text/vnd.google.email-reaction+json; charset=utf-8\n\n{"emoji":"👍","version":1}\n--=_r--\n')),
        ("reaction-yes", "Yes\n\nOttoline reacted to your message" + quoted, dict(asked=True)),
        ("bulk", "unsubscribe", dict(more="Precedence: bulk\n")),
        ("no-sender", "unsubscribe", dict(more="Return-Path: <>\n")),
        ("auto-de", "Ja\n\nDies ist eine automatische Antwort, bitte nicht auf diese Mail antworten." + quoted, dict(asked=True, subject="AW: " + ASKED)),
        ("auto-fr", "Oui\n\nCeci est une réponse automatique." + quoted, dict(asked=True, subject="RE: " + ASKED)),
        ("auto-es", "Sí\n\nMensaje automático, no responda." + quoted, dict(asked=True)),
        ("spam-filter", "Yes\nPress https://guests.example/ask to be let in" + quoted, dict(asked=True)),
    ]
    for name, text, more in cases:
        write(f"robot-{name}", "no", "robot", "a machine", text, **more)


if __name__ == "__main__":
    for old in glob.glob(os.path.join(HERE, "*.eml")):
        if not os.path.basename(old).startswith("case-"):
            os.remove(old)
    shapes()
    said()
    not_said()
    wordings()
    robots()
    kept = [line.rstrip("\n") for line in open(os.path.join(HERE, "cases.tsv"), encoding="utf8")]
    with open(os.path.join(HERE, "expected.tsv"), "w", encoding="utf8", newline="\n") as table:
        table.write("# Written by make.py; the lines of cases.tsv, which are mails that were written by hand, come first.\n")
        for row in kept:
            table.write(row + "\n")
        for row in written:
            table.write("\t".join(row) + "\n")
