#include "migration/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace eidolon::migration {

std::string tls_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

Result<Tls> Tls::load(const std::string& folder, Side side) {
  const SSL_METHOD* method = side == Side::kListens ? TLS_server_method() : TLS_client_method();
  Context context(SSL_CTX_new(method), SSL_CTX_free);
  if (context == nullptr) return fail("TLS cannot be used ({})", tls_reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(context.get(), 0);  // nothing comes but what the other side says
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  const auto file = [&folder](const char* name) { return folder + "/" + name; };
  const auto wrong = [](const std::string& path) {
    return fail("cannot use '{}' ({}); --tls names a folder with ca.pem, cert.pem and key.pem", path,
                tls_reason());
  };
  if (SSL_CTX_load_verify_locations(context.get(), file("ca.pem").c_str(), nullptr) != 1)
    return wrong(file("ca.pem"));
  if (SSL_CTX_use_certificate_chain_file(context.get(), file("cert.pem").c_str()) != 1)
    return wrong(file("cert.pem"));
  if (SSL_CTX_use_PrivateKey_file(context.get(), file("key.pem").c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    return wrong(file("key.pem"));
  return Tls(std::move(context), side);
}

}  // namespace eidolon::migration
